"""`convert`: a checkpoint of the Diffusion Policy project into the folder of a policy that `load_policy` takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.common.files import atomic_path
from dlscore.convert.checkpoint_file import read_checkpoint_file
from dlscore.convert.errors import ConvertError
from dlscore.convert.normaliser import to_statistics
from dlscore.convert.weights import check_same, to_lerobot_names
from dlscore.convert.workspace import AGENT, to_lerobot
from dlscore.policy.diffusion_policy import DiffusionPolicyProject
from dlscore.policy.errors import PolicyError
from dlscore.policy.load import load_policy
from dlscore.policy.nine_keypoints import KEYPOINTS, NINE

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Converted", "convert"]


@dataclass(frozen=True)
class Converted:
    """The folder that was written, and the number of parameters of its network."""

    folder: Path
    parameters: int


def convert(file: Path, folder: Path) -> Converted:
    """Write the policy of `file` to `folder`, which must not exist, as LeRobot saves a policy.

    Nothing of the file is run. Raises ConvertError, with nothing written, for whatever would make it another policy.
    """
    if folder.exists():
        raise ConvertError(f"{folder} exists; choose another folder")
    name = str(file)
    found = read_checkpoint_file(file)
    fields = to_lerobot(found.config, name)
    weights = to_lerobot_names(found.weights, fields["diffusion_step_embed_dim"], name)
    policy, processors = _build(fields, to_statistics(found.weights, name), name)
    check_same(weights, policy.diffusion.unet.state_dict(), name)
    policy.diffusion.unet.load_state_dict(weights, strict=True)
    with atomic_path(folder, ConvertError) as part:
        for each in (policy, *processors):
            each.save_pretrained(part)
        _set_type(part / "config.json")
        try:
            load_policy(str(part), device="cpu")
        except PolicyError as error:  # what it refuses is not written
            raise ConvertError(str(error).replace(str(part), name)) from error
    return Converted(folder, sum(each.numel() for each in policy.parameters()))


def _build(fields: dict[str, Any], statistics: dict[str, dict[str, Tensor]], name: str) -> tuple[Any, tuple[Any, ...]]:
    # (LeRobot's policy with fresh weights, its processors).
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.factory import make_pre_post_processors

    try:
        config = DiffusionConfig(
            **fields,
            input_features={
                "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(AGENT,)),
                KEYPOINTS: PolicyFeature(type=FeatureType.ENV, shape=(NINE,)),
            },
            output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
            normalization_mapping=dict.fromkeys(("STATE", "ENV", "ACTION"), "MIN_MAX"),
            pretrained_backbone_weights=None, device="cpu", push_to_hub=False,
        )  # fmt: skip
        return DiffusionPolicy(config), make_pre_post_processors(config, dataset_stats=statistics)
    except Exception as error:  # LeRobot, diffusers and torch raise types of their own
        text = " ".join(str(error).split())
        raise ConvertError(
            f"LeRobot cannot build the policy of {name} ({type(error).__name__}: {text[:300]})"
        ) from error


def _set_type(config: Path) -> None:
    written = json.loads(config.read_text()) | {"type": DiffusionPolicyProject.family}
    config.write_text(json.dumps(written, indent=4) + "\n")
