"""Policies of the Diffusion Policy project (Chi et al. 2023), as `dlscore convert` writes them.

The network is LeRobot's diffusion policy, with the project's nine keypoints where LeRobot has eight. Data sets have eight: the
nine are computed from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dlscore.policy.diffusion import Diffusion
from dlscore.policy.errors import PolicyError
from dlscore.policy.nine_keypoints import EIGHT, KEYPOINTS, NINE, NineKeypoints

__all__ = ["DiffusionPolicyProject"]


class DiffusionPolicyProject(Diffusion):
    """`type: diffusion_policy`."""

    family: ClassVar[str] = "diffusion_policy"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preprocess = NineKeypoints(self.preprocess)

    @classmethod
    def check_config(cls, written: Mapping[str, Any], name: str) -> None:
        """As for a diffusion policy, and nine keypoints."""
        super().check_config(written, name)
        features = written["input_features"]
        shape = features.get(KEYPOINTS, {}).get("shape") if isinstance(features, dict) else None
        if shape != [NINE]:
            raise PolicyError(
                f"config.json of policy {name} has {KEYPOINTS} of shape {shape}; nine keypoints are [{NINE}]: convert it again"
            )

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """What data sets have: eight keypoints."""
        return super().inputs | {KEYPOINTS: (EIGHT,)}
