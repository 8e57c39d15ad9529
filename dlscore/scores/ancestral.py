"""The noisy steps of the policy's own sampler, fewer and longer, for networks that do not denoise.

The sampler adds new noise at each step, and so forgets where a wrong prediction took a chunk; the probability flow does not.
For a network that denoises both end in one density, for another they do not. In y = x / α a step from v to v' is

    y' = r² y + (1 − r²) D̃ + v' √((1 − r²) s) ξ,   D̃ = D + γ (D − D_before),   r = v' / v,   ξ ~ N(0, I)

with D the data prediction, clipped where the sampler clips it. γ = 0 and s = 1 is DDPM's step (Ho et al. 2020, eq. 6 and 7); half
the quotient of the two steps in log v as γ is SDE-DPM-Solver++(2M) (Lu et al. 2022). So long, one makes wide Gaussians a fifth
too narrow, the other 7 % too wide. Here γ and s are chosen together, as the weights of `solver` are, so that Gaussian data of any
width come to the deviation that the sampler gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.scores.solver import data_gain, data_variances, error_weights


@dataclass(frozen=True)
class AncestralStep:
    """`kept`: r², of y; `ahead`: γ; `deviation`: of the new noise, in normalised units."""

    kept: float
    ahead: float
    deviation: float

    def move(self, y: Tensor, history: Sequence[Tensor], clip: float | None, rng: np.random.Generator) -> Tensor:
        """The next y (S, M, H, 2); `history` has the data predictions, the newest first. The S steps have the same new noise."""
        data = history[0]
        if len(history) > 1:
            data = data + self.ahead * (data - history[1])
            data = data if clip is None else data.clamp(-clip, clip)
        moved: Tensor = data + self.kept * (y - data)
        return moved + self.deviation * torch.tensor(rng.standard_normal(y.shape[1:])).to(y)


def fit_ancestral(noise: Array, aims: Array) -> tuple[AncestralStep, ...]:
    """K steps through K + 1 falling levels v = `noise`, from y of deviation v_0.

    aims: (K + 1, W) deviation that y shall have at each level, for data of each of `solver.data_variances()`. Errors weigh √κ, as
    in `solver.fit_solver`.
    """
    count, kept = len(noise) - 1, (noise[1:] / noise[:-1]) ** 2
    importance = error_weights(data_gain(data_variances(), noise[:, None]), densities=1)

    def unpack(free: Array) -> tuple[Array, Array]:
        return np.append(0.0, free[: count - 1]), np.exp(free[count - 1 :])

    def residuals(free: Array) -> Array:
        error: Array = importance * (gaussian_deviations(noise, *unpack(free)) / aims[1:] - 1)
        return error.ravel()

    found = least_squares(residuals, np.zeros(2 * count - 1)).x
    ahead, spread = unpack(found)
    deviations = noise[1:] * np.sqrt((1 - kept) * spread)
    return tuple(AncestralStep(*map(float, each)) for each in zip(kept, ahead, deviations, strict=True))


def gaussian_deviations(noise: Array, ahead: Array, spread: Array) -> Array:
    """(K, W) deviation of y after each step with γ = `ahead` (K,) and s = `spread` (K,), for Gaussian data of each variance."""
    gain = data_gain(data_variances(), noise[:, None])
    variance, before, both = np.full(gain.shape[1], noise[0] ** 2), np.zeros(1), np.zeros(1)
    found = []
    for k, (v, finer) in enumerate(pairwise(noise)):
        kept = (finer / v) ** 2
        a = kept + (1 - kept) * (1 + ahead[k]) * gain[k]  # of y, and b of the y before
        b = -(1 - kept) * ahead[k] * gain[k - 1] if k else np.zeros(1)
        added = finer**2 * (1 - kept) * spread[k]
        moved = a**2 * variance + 2 * a * b * both + b**2 * before + added
        variance, before, both = moved, variance, a * variance + b * both
        found.append(np.sqrt(variance))
    return np.stack(found)
