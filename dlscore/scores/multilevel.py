"""One density from mixtures at two noise levels, and two estimates of its error.

At a coarse level the mixture of all M chunks is smooth, but each Gaussian covers what is finer than its noise: narrow
modes side by side run together. At a fine level it resolves them, but few chunks make it rough. As in multilevel Monte
Carlo (Giles 2008, eq. 2.3), the coarse density of all chunks is corrected by the mean difference of some of them:

    p(a) = p_coarse(a; all) + w [p_fine(a; chosen) - p_coarse(a; chosen)]

where w drops the correction when it is noise. With D_A, D_B from two halves of the chosen chunks,
s = <D_A, D_B> / |(D_A + D_B) / 2|² is the part of the mean difference that is not noise, because independent
noise cancels in <D_A, D_B>. s is itself an estimate, so w rises from 0 at s = ¼ to 1 at s = ¾.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.grid import Grid
from dlscore.scores.cell_density import log_cell_density
from dlscore.scores.posterior import GaussianMixture

FLOOR = 0.02  # the correction leaves at least this part of the coarse density
NOTHING = 1e-200  # a probability inside the grid that counts as zero


@dataclass(frozen=True)
class JoinedDensity:
    """`log_density` (N, N) [nats / px²], and two estimates of its error as total variations.

    `sampling_error` is the standard error: half the total variation between the densities from either half of the
    chunks. `level_difference` is the total variation between the two levels, cross-fitted between the halves
    (½ Σ sign(D_A) D_B) so that sampling adds about nothing to it in the mean; large where narrow modes lie side by side.
    """

    log_density: Array
    sampling_error: float
    level_difference: float


def choose(samples: int, count: int) -> Array:
    """Indices of the chunks that are denoised to the fine level: the first count / 2 of each half of a Sobol sequence."""
    half = np.arange(count // 2)
    return np.concatenate([half, samples // 2 + half])


def join(coarse: GaussianMixture, fine: GaussianMixture, step: int, grid: Grid) -> JoinedDensity:
    """The density of one step, from the mixtures that `posterior.two_level_mixtures` returns."""
    samples, count = coarse.mean.shape[1], fine.mean.shape[1]

    def log_density(gaussians: GaussianMixture, first: int, number: int) -> Array:
        part = slice(first, first + number)
        return log_cell_density(gaussians.mean[step, part], gaussians.covariance[step, part], grid)

    halves = (0, samples // 2)
    coarse_halves = [log_density(coarse, first, samples // 2) for first in halves]
    log_coarse = np.logaddexp(*coarse_halves) - np.log(2)
    # Densities relative to the coarse one. Where that is almost zero, a ratio may overflow.
    ratios = [
        _ratio(log_density(fine, k * count // 2, count // 2), log_coarse)
        - _ratio(log_density(coarse, halves[k], count // 2), log_coarse)
        for k in range(2)
    ]
    mass = np.exp(log_coarse) * grid.cell_area
    if mass.sum() < NOTHING:  # all mass is far outside the grid: nothing to correct or to divide by
        return JoinedDensity(log_coarse, 0.0, 0.0)
    first, second = (mass * ratio for ratio in ratios)
    both = (first + second) / 2
    energy = float((both**2).sum())
    share = float((first * second).sum()) / energy if energy > 0 else 0.0
    weight = float(np.clip(2 * share - 0.5, 0, 1))

    log_corrected = log_coarse + np.log(np.maximum(1 + weight * (ratios[0] + ratios[1]) / 2, FLOOR))
    expected = max(mass.sum() + weight * both.sum(), FLOOR * mass.sum())
    log_corrected += np.log(expected / (np.exp(log_corrected).sum() * grid.cell_area))

    half_masses = [
        np.exp(each) * grid.cell_area + weight * difference
        for each, difference in zip(coarse_halves, (first, second), strict=True)
    ]
    return JoinedDensity(
        log_corrected,
        0.25 * float(np.abs(half_masses[0] - half_masses[1]).sum()),
        max(0.0, 0.25 * float((np.sign(first) * second + np.sign(second) * first).sum())),
    )


def _ratio(log_density: Array, log_reference: Array) -> Array:
    ratio: Array = np.exp(np.clip(log_density - log_reference, -700, 700))
    return ratio
