"""The published tool's definitions, written as intended and normalised correctly, and sample-based densities.

They are here to be compared with; `dlscore compute` offers none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import logsumexp

from dlscore.grid import Grid
from dlscore.policy.base import Policy
from dlscore.scores.base import Scores


@dataclass(frozen=True)
class PublishedLikelihood:
    """Minus the mean squared error between a chunk generated for the cell and the cell's action, repeated over the chunk.

    Every cell draws a chunk of its own: 100 evaluations a cell, 250,000 at 50 × 50.
    """

    name: ClassVar[str] = "published likelihood"
    kind: ClassVar[str] = "score"
    checks: ClassVar[tuple[str, ...]] = ()

    def score(self, policy: Policy, conditioning: Any, chunks: Any, grid: Grid, seed: int) -> Scores:
        cells = policy.from_px(grid.actions.reshape(-1, 2))
        return Scores(self.cells(policy, conditioning, cells, seed).reshape(1, grid.resolution, grid.resolution))

    def cells(self, policy: Policy, conditioning: Any, cells: np.ndarray, seed: int) -> np.ndarray:
        """(n,) scores of actions (n, 2) in normalised units."""
        generated = draw(policy, conditioning, len(cells), seed)
        return -((generated - cells[:, None]) ** 2).mean(axis=(1, 2))


@dataclass(frozen=True)
class PublishedNoisePrediction:
    """Minus the mean squared error of the predicted noise, from the repeated action with noise of deviation 0.1 added."""

    noise: float = 0.1

    name: ClassVar[str] = "published noise_pred"
    kind: ClassVar[str] = "score"
    checks: ClassVar[tuple[str, ...]] = ()

    @torch.inference_mode()
    def score(self, policy: Policy, conditioning: Any, chunks: Any, grid: Grid, seed: int) -> Scores:
        cells = torch.tensor(policy.from_px(grid.actions.reshape(-1, 2)), dtype=torch.float32)
        repeated = cells[:, None].expand(-1, policy.horizon, -1)
        epsilon = torch.randn(repeated.shape, generator=torch.Generator().manual_seed(seed))
        # The timestep whose noise, relative to the signal, is nearest to 0.1.
        ratio = np.exp(-policy.log_snr() / 2)
        t = int(np.argmin(np.abs(ratio - self.noise)))
        alpha, sigma = policy.noise_level(t)
        noisy = (alpha * repeated + sigma * epsilon).to(conditioning.device)
        predicted = policy.epsilon(noisy[None], t, conditioning)[0].cpu()
        scores = -(predicted - epsilon).square().mean(dim=(1, 2)).double().numpy()
        return Scores(scores.reshape(1, grid.resolution, grid.resolution))


@dataclass(frozen=True)
class SampleDensity:
    """Gaussian kernel density of `samples` actions drawn by the policy's own sampler.

    `bandwidth` "sigma0": the finest noise of the schedule, 0.0251; "scott": the samples' covariance · n^(-1/3) (Scott
    1992, eq. 6.42, two dimensions).
    """

    samples: int = 250
    bandwidth: str = "sigma0"

    name: ClassVar[str] = "kde"
    kind: ClassVar[str] = "log_density"
    checks: ClassVar[tuple[str, ...]] = ()

    def score(self, policy: Policy, conditioning: Any, chunks: Any, grid: Grid, seed: int) -> Scores:
        drawn = draw(policy, conditioning, self.samples, seed)[:, policy.current]
        if self.bandwidth == "sigma0":
            covariance = policy.noise_level(0)[1] ** 2 * np.eye(2)
        else:
            covariance = np.cov(drawn.T) * len(drawn) ** (-1 / 3)
        fine = 4  # points a side of a cell
        away = policy.from_px(grid.subdivide(fine))[..., None, :] - drawn
        power = np.einsum("yxmi,ij,yxmj->yxm", away, np.linalg.inv(covariance), away)
        log_density = logsumexp(-0.5 * power, axis=-1) - np.log(len(drawn))
        log_density -= 0.5 * np.log(np.linalg.det(2 * np.pi * covariance)) + np.log(policy.px_per_unit.prod())
        n = grid.resolution
        return Scores(logsumexp(log_density.reshape(n, fine, n, fine), axis=(1, 3))[None] - 2 * np.log(fine))


@torch.inference_mode()
def draw(policy: Policy, conditioning: Any, count: int, seed: int) -> np.ndarray:
    """(count, H, 2) chunks of the policy's own sampler, normalised units."""
    stream = torch.Generator(policy.device).manual_seed(seed)
    chunks = []
    for start in range(0, count, policy.batch_size):
        size = min(policy.batch_size, count - start)
        given = conditioning.expand(size, -1)
        chunks.append(policy.policy.diffusion.conditional_sample(size, global_cond=given, generator=stream))
        policy.evaluations += size * policy.policy.diffusion.num_inference_steps
    return torch.cat(chunks).cpu().double().numpy()
