"""The project's normaliser, y = scale · x + offset of each value, as the minimum and maximum that LeRobot maps to -1 and 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dlscore.convert.errors import ConvertError
from dlscore.convert.weights import NORMALISER
from dlscore.convert.workspace import OBSERVED
from dlscore.policy.nine_keypoints import KEYPOINTS, NINE

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["to_statistics"]


def to_statistics(weights: Mapping[str, Tensor], name: str) -> dict[str, dict[str, Tensor]]:
    """LeRobot's statistics of the state, the nine keypoints and the action [px]: feature -> min and max.

    They are x with y = ∓1, in float64, then rounded to float32, 3e-5 px. Raises ConvertError for parameters that are missing,
    of another size, not finite, or without a spread.
    """
    found: dict[str, dict[str, Tensor]] = {}
    parts = {
        KEYPOINTS: ("obs", OBSERVED, slice(0, NINE)),
        "observation.state": ("obs", OBSERVED, slice(NINE, OBSERVED)),
        "action": ("action", 2, slice(0, 2)),
    }
    for feature, (key, size, columns) in parts.items():
        scale, offset = (
            _read(weights, f"{NORMALISER}{key}.{part}", size, name)[columns] for part in ("scale", "offset")
        )
        if not (scale > 0).all():
            raise ConvertError(f"{name} normalises '{key}' by scales that are not above 0")
        found[feature] = {"min": ((-1 - offset) / scale).float(), "max": ((1 - offset) / scale).float()}
    return found


def _read(weights: Mapping[str, Tensor], parameter: str, size: int, name: str) -> Tensor:
    values = weights.get(parameter)
    if values is None or tuple(values.shape) != (size,):
        shape = "none" if values is None else f"one of shape {tuple(values.shape)}"
        raise ConvertError(f"{name} needs a normaliser {parameter} of shape ({size},), and has {shape}")
    if not values.isfinite().all():
        raise ConvertError(f"{name} has a normaliser {parameter} that is not finite")
    return values.double()
