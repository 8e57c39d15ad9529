"""The distance to the predicted action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dlscore.common.arrays import Array
from dlscore.grid import Grid
from dlscore.scores.base import Scores

if TYPE_CHECKING:
    from torch import Tensor

    from dlscore.policy.base import Policy


@dataclass(frozen=True)
class Distance:
    """-‖a - predicted action‖ [px], with the action that the policy's own sampler predicts, drawn once per step."""

    name: ClassVar[str] = "distance"
    kind: ClassVar[str] = "score"
    units: ClassVar[str] = "px"
    definition: ClassVar[str] = "minus the Euclidean distance to the predicted action"
    checks: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        return 0

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        predicted = chunks[:, 0, policy.current]
        return Scores(-np.linalg.norm(grid.actions - predicted[:, None, None], axis=-1))
