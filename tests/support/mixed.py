"""A scorer with mixtures that asks no network: one Gaussian at the current action of each drawn chunk, and a correction."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dlscore import Scores
from dlscore.density.mixture import Mixture
from dlscore.scores.base import MixtureLayout


@dataclass(frozen=True)
class Mixed:
    """Gaussians of `width` px; their corrections have negative weights."""

    width: float = 20.0
    density: str = "executed"
    samples: int = 16

    name: ClassVar[str] = "mixed"
    kind: ClassVar[str] = "log_density"
    units: ClassVar[str] = "nats / px^2"
    definition: ClassVar[str] = "log density of Gaussians around the drawn actions"
    checks: ClassVar[tuple[str, ...]] = ("error", "log_error")
    version: ClassVar[int] = 1

    def evaluations(self, policy, grid):
        return 0

    def layout(self, policy):
        return MixtureLayout(components=4, denoised=2, box=[[12.0, 12.0], [511.0, 511.0]], distances=(2.0, 10.0))

    def score(self, policy, conditioning, chunks, grid, seed):
        mixtures = [self.mixture(step[:2, policy.current]) for step in chunks]
        error = np.array([np.abs(each.mean).mean() / 10_000 for each in mixtures])
        checks = {"error": error, "log_error": np.stack([error, 10 * error], axis=-1)}
        return Scores.of_mixtures(mixtures, grid, checks, chunks[:, :2])

    def mixture(self, places):
        mean, broad = np.concatenate([places, places + 5.03]), np.eye(2) * self.width**2
        covariance = np.stack([broad, broad, broad / 3, broad / 3])
        box = np.array([[12.0, 12.0], [511.0, 511.0]])
        return Mixture(mean, covariance, [0.7, 0.3, 0.4, -0.4], [0.5, 0.5, 0, 0], box).normalised()
