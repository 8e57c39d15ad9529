"""The nine keypoints of the Diffusion Policy project, from the eight of LeRobot.

Both are points of the block. LeRobot's are its vertices; the project's are points that its environment spread over the block by
farthest-point sampling from seed 0. A point p of a rigid body is the same combination of the vertices v_k in every pose,
p = Σ w_k v_k with Σ w_k = 1 (barycentric coordinates; of the many w, the one of least norm, which averages noise most).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from dlscore.common.arrays import Array

__all__ = ["NineKeypoints", "weights_of_eight"]

KEYPOINTS = "observation.environment_state"
EIGHT, NINE = 16, 18  # values of an observation
# px, in the block's frame: LeRobot's order of the vertices, as pymunk stores them.
VERTICES = ((-60, 0), (60, 0), (60, 30), (-60, 30), (-15, 30), (15, 30), (15, 120), (-15, 120))
POINTS = (
    (9.269787, 90.040974), (-60.983472, -1.186730), (60.912756, -1.393364), (-0.270503, 25.543625), (-14.064928, 122.815854),
    (39.002739, 32.857404), (-39.966414, 32.729655), (-16.824344, 62.863179), (23.541461, -1.700288),
)  # fmt: skip


@cache
def weights_of_eight() -> Array:
    """(9, 8) w: the nine keypoints are w times the eight."""
    vertices, points = (np.column_stack([each, np.ones(len(each))]) for each in (np.array(VERTICES), np.array(POINTS)))
    found: Array = points @ np.linalg.pinv(vertices)
    return found


class NineKeypoints:
    """A preprocessor that is given eight keypoints (…, 16) and gives its own nine (…, 18); nine stay as they are."""

    def __init__(self, preprocess: Any) -> None:
        self.preprocess = preprocess
        self.steps = preprocess.steps

    def __call__(self, batch: dict[str, Any]) -> Any:
        """The preprocessed batch."""
        points = batch[KEYPOINTS]
        if points.shape[-1] == EIGHT:
            import torch

            # In float64, so that only the rounding to the network's float32 is left.
            nine = torch.from_numpy(weights_of_eight()) @ points.cpu().double().unflatten(-1, (8, 2))
            batch = batch | {KEYPOINTS: nine.flatten(-2).to(points)}
        return self.preprocess(batch)
