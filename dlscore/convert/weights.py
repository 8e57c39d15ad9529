"""The project's U-Net weights under LeRobot's names, with the columns of the observation in LeRobot's order.

Both are the network of Janner et al. 2022 with FiLM conditioning (Perez et al. 2018), and differ in names, and in the order of
an observation: keypoints, agent there; agent, keypoints in LeRobot. The observations enter through the linear layers of the
FiLM encoders alone, after the embedding of the timestep and after mish, which acts on each value by itself: so moving columns
of these layers moves the observation's values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dlscore.convert.errors import ConvertError
from dlscore.convert.workspace import AGENT, OBSERVED

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NORMALISER", "check_same", "to_lerobot_names"]

UNET, NORMALISER = "model.", "normalizer.params_dict."
PLACEHOLDERS = ("_dummy_variable", "mask_generator._dummy_variable")  # empty parameters that tell the device
RENAMED = (
    (re.compile(r"\.blocks\.0\."), ".conv1."),
    (re.compile(r"\.blocks\.1\."), ".conv2."),
    (re.compile(r"^((?:down|up)_modules\.\d+\.2)\.conv\."), r"\1."),
)
ENCODER = ".cond_encoder.1.weight"


def to_lerobot_names(weights: Mapping[str, Tensor], embedding: int, name: str) -> dict[str, Tensor]:
    """Weights of LeRobot's U-Net. `embedding`: the width of the timestep's. Raises ConvertError for an unknown name in `name`."""
    found: dict[str, Tensor] = {}
    for old, tensor in weights.items():
        if old.startswith(UNET):
            new = old.removeprefix(UNET)
            for pattern, put in RENAMED:
                new = pattern.sub(put, new)
            found[new] = reorder(tensor, embedding) if new.endswith(ENCODER) else tensor
        elif not old.startswith(NORMALISER) and old not in PLACEHOLDERS:
            raise ConvertError(f"{name} has weights {old}, which a policy on keypoints has not")
    return found


def reorder(weight: Tensor, embedding: int) -> Tensor:
    """A FiLM encoder's weight (C, embedding + steps · 20), its columns of each observation moved to LeRobot's order."""
    import torch

    count = weight.shape[1] - embedding if weight.ndim == 2 else 0
    if count <= 0 or count % OBSERVED:
        raise ConvertError(f"the network conditions on {count} values, which are no observations of {OBSERVED}")
    head, observed = weight[:, :embedding], weight[:, embedding:]
    steps = observed.reshape(len(weight), -1, OBSERVED)
    moved = steps.roll(AGENT, dims=2)  # keypoints, agent -> agent, keypoints
    return torch.cat([head, moved.flatten(1)], dim=1).contiguous()


def check_same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str) -> None:
    """Raise ConvertError unless `found` has the names and shapes of `wanted`, LeRobot's."""
    for what, names in (("lacks", set(wanted) - set(found)), ("has too many", set(found) - set(wanted))):
        if names:
            raise ConvertError(f"{name} {what} weights of the U-Net of its config: {', '.join(sorted(names)[:3])}")
    for each, tensor in found.items():
        if tensor.shape != wanted[each].shape:
            raise ConvertError(
                f"{name} has {each} of shape {tuple(tensor.shape)}; the U-Net of its config has {tuple(wanted[each].shape)}"
            )
        if tensor.dtype != wanted[each].dtype:
            raise ConvertError(f"{name} has {each} in {tensor.dtype}; the project's weights are {wanted[each].dtype}")
