"""The denoising error of a chunk through each action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import require
from dlscore.grid import Grid
from dlscore.scores.base import ScorerError, Scores, require_denoiser

if TYPE_CHECKING:
    from torch import Tensor

    from dlscore.policy.base import Policy
    from dlscore.policy.denoiser import DenoiserPolicy


@dataclass(frozen=True)
class NoisePrediction:
    """Minus the denoising error of a chunk through a [nats, up to a constant].

    The chunk A starts as the drawn chunk that comes nearest to a, translated so that its current action is a; the rest of
    it is then what the network expects around a, E[x_0 | x_t = α_t A] at t = `settle`. With noise ε, the same for every
    cell, and ε̂ the network's prediction from x_t = α_t A + σ_t ε:

        score = -½ ∫ ‖ε̂ - ε‖² dλ,   λ = log SNR

    the continuous-time evidence lower bound (Kingma et al. 2021, eq. 17) of A, by the midpoint rule over `levels` noise
    levels between the timesteps `lowest` and `highest`. A bound on the density of one chunk through a, not the density of
    a: it ranks actions, and costs (levels + 1) · N² evaluations.
    """

    levels: int = 4
    lowest: int = 2
    highest: int = 96
    settle: int = 25

    name: ClassVar[str] = "noise_pred"
    kind: ClassVar[str] = "score"
    units: ClassVar[str] = "nats"
    definition: ClassVar[str] = (
        "minus half the squared error of the predicted noise, integrated over log SNR, of the chunk that the network "
        "expects around the nearest drawn chunk translated to the cell"
    )
    checks: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        require("--levels", self.levels, "at least 1", self.levels >= 1, ScorerError)

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        require_denoiser(policy, self.name)
        return (self.levels + 1) * grid.resolution**2

    def timesteps(self, policy: DenoiserPolicy) -> list[int]:
        """The noise levels: midpoints of equal intervals of log SNR, as the nearest timesteps."""
        log_snr = policy.log_snr()
        low, high = log_snr[policy.scale_timestep(self.highest)], log_snr[policy.scale_timestep(self.lowest)]
        middle = low + (np.arange(self.levels) + 0.5) / self.levels * (high - low)
        return [int(np.argmin(np.abs(log_snr - target))) for target in middle]

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        network = require_denoiser(policy, self.name)
        pairs = zip(policy.from_px(chunks), conditioning, strict=True)
        return Scores(np.stack([self._score_step(network, given[None], drawn, grid, seed) for drawn, given in pairs]))

    def _score_step(self, policy: DenoiserPolicy, conditioning: Tensor, drawn: Array, grid: Grid, seed: int) -> Array:
        import torch

        cells, now = policy.from_px(grid.actions.reshape(-1, 2)), policy.current
        away = cells[:, None] - drawn[:, now]
        nearest = (away**2).sum(axis=-1).argmin(axis=1)
        started = drawn[nearest] + away[np.arange(len(cells)), nearest][:, None]
        log_snr = policy.log_snr()
        span = float(np.ptp(log_snr[[policy.scale_timestep(self.lowest), policy.scale_timestep(self.highest)]]))
        stream = torch.Generator().manual_seed(seed)
        levels = [(t, torch.randn(drawn.shape[1:], generator=stream)) for t in self.timesteps(policy)]
        settle = policy.scale_timestep(self.settle)
        alpha, sigma = policy.noise_level(settle)
        total = np.zeros(len(cells))
        for start in range(0, len(cells), policy.batch_size):  # never the whole grid on the device at once
            part = slice(start, start + policy.batch_size)
            chunk = torch.tensor(started[part], dtype=torch.float32, device=conditioning.device)[None]
            clean = chunk - sigma / alpha * policy.epsilon(alpha * chunk, settle, conditioning)
            clean[:, :, now] = chunk[:, :, now]
            for t, noise in levels:
                noise = noise.to(conditioning.device)
                predicted = policy.epsilon(
                    policy.noise_level(t)[0] * clean + policy.noise_level(t)[1] * noise, t, conditioning
                )
                total[part] += (predicted - noise).square().sum(dim=(2, 3))[0].cpu().double().numpy()
        scores: Array = (-0.5 * span / self.levels * total).reshape(grid.resolution, grid.resolution)
        return scores
