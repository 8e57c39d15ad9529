"""The truth: the density that an analytic policy models, and the one that its sampler executes.

Of one Gaussian without clipping, every step of the sampler is linear, and the executed density is exact
(`sampler_steps.gaussian_path` along the eigenvectors of the chunk's covariance R ⊗ S). Of all others it is a histogram of
the policy's own draws, without smoothing, and `Truth.noise` is what chance alone would make of a perfect estimate.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from dlscore.certify.mixtures import NOW, Mixture
from dlscore.certify.own_draws import stored_draws
from dlscore.common.arrays import Array
from dlscore.grid import Grid
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.policy.sampler_steps import SamplerSteps, gaussian_gain, gaussian_path

DRAWS = 131_072
RARELY = 1e-3  # a Gaussian that is clipped with at most this probability counts as unclipped: its largest error in TV


@dataclass(frozen=True)
class Truth:
    """`log_masses` (N, N): log of each cell's true probability [y, x], -inf where there is none. `noise`: the expected
    total variation of a histogram of so many draws about its own density; 0 where the truth is exact."""

    log_masses: Array
    noise: float = 0.0


def find_truth(density: str, mixture: Mixture, policy: DenoiserPolicy, grid: Grid, folder: Path) -> Truth:
    """The truth of a density in `likelihood.DENSITIES`; draws are kept in `folder`."""
    if density == "model":
        return Truth(mixture.log_masses(policy, grid))
    sampler = policy.own_steps()
    if len(mixture.weights) == 1 and clip_probability(mixture, sampler) <= RARELY:
        log_masses = executed_mixture(mixture, sampler).log_masses(policy, grid, fine=16)
        return Truth(np.where(_within(sampler.clip, policy, grid), log_masses, -np.inf))
    return count_draws(policy.to_px(stored_draws(mixture, sampler, DRAWS, 0, folder)), grid)


def default_folder() -> Path:
    """Where draws are kept unless a caller says otherwise: the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dlscore" / "certify"


def count_draws(actions: Array, grid: Grid) -> Truth:
    """The histogram of actions (n, 2) [px] over the grid. What falls outside counts as one more cell."""
    edges = np.arange(grid.resolution + 1) * grid.cell
    masses = np.histogram2d(actions[:, 1], actions[:, 0], bins=(edges, edges))[0] / len(actions)
    with np.errstate(divide="ignore"):
        return Truth(np.log(masses), histogram_noise(masses, len(actions)))


def histogram_noise(masses: Array, draws: int) -> float:
    """½ Σ √(2 p (1 - p) / (π n)): the mean total variation between n draws' histogram and their density.

    A cell's count is nearly normal, and E|N(0, s²)| = s √(2/π). In the tails, where a cell expects less than one draw, it
    is not; cells with one draw count twice, which makes up for that and for empty ones to 1 % in Gaussian tails. The distance
    between the histograms of two such sets of draws is √2 times this.
    """
    every = np.append(masses.ravel(), max(0.0, 1.0 - float(masses.sum())))
    times = np.where(np.round(every * draws) == 1, 2.0, 1.0)
    return float(0.5 * (times * np.sqrt(2 / np.pi * every * np.maximum(1 - every, 0) / draws)).sum())


def _within(clip: float | None, policy: DenoiserPolicy, grid: Grid) -> Array:
    # (N, N) whether a cell overlaps the range of what the sampler returns, whose last step clips.
    reach = np.inf if clip is None else clip + grid.cell / 2 / policy.px_per_unit
    return np.asarray((np.abs(policy.from_px(grid.actions)) <= reach).all(axis=-1))


def executed_mixture(mixture: Mixture, sampler: SamplerSteps) -> Mixture:
    """One Gaussian as the unclipped sampler executes it: exact mean chunk, and exact covariance of the current action."""
    time, plane, means, variances = _paths(mixture, sampler)
    chunk = time @ means[-1] @ plane.T
    spread = (time[NOW, :, None] ** 2 * variances[-1]).sum(axis=0)
    return replace(mixture, chunks=chunk[None], covariances=((plane * spread) @ plane.T)[None])


def clip_probability(mixture: Mixture, sampler: SamplerSteps) -> float:
    """An upper bound of the probability that a step clips any entry of one Gaussian's chunk, summed over steps and entries.

    The clipped and the unclipped sampler agree until then, so their total variation is below it.
    """
    if sampler.clip is None:
        return 0.0
    time, plane, means, variances = _paths(mixture, sampler)
    start, data = time.T @ mixture.chunks[0] @ plane, _variances(mixture)
    total = 0.0
    for k, step in enumerate(sampler):
        gain = gaussian_gain(step, data)
        mean = time @ (start + gain * (means[k] - step.alpha * start)) @ plane.T
        deviation = np.sqrt(time**2 @ (gain**2 * variances[k]) @ (plane**2).T)
        total += float((ndtr((mean - sampler.clip) / deviation) + ndtr((-mean - sampler.clip) / deviation)).sum())
    return min(total, 1.0)


def _paths(mixture: Mixture, sampler: SamplerSteps) -> tuple[Array, Array, Array, Array]:
    # Eigenvectors over time (H, H) and in the plane (2, 2); means and variances (steps + 1, H, 2) along their products.
    time, plane = np.linalg.eigh(mixture.correlation)[1], np.linalg.eigh(mixture.covariances[0])[1]
    return time, plane, *gaussian_path(sampler.steps, time.T @ mixture.chunks[0] @ plane, _variances(mixture))


def _variances(mixture: Mixture) -> Array:
    # (H, 2) eigenvalues of R ⊗ S.
    over_time, in_plane = np.linalg.eigvalsh(mixture.correlation), np.linalg.eigvalsh(mixture.covariances[0])
    return np.asarray(over_time[:, None] * in_plane)
