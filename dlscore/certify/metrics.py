"""Distances between an estimated density on the grid and the true one."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.special import logsumexp

from dlscore.certify.mixtures import Mixture
from dlscore.common.arrays import Array
from dlscore.grid import Grid
from dlscore.scores.base import Scorer


def total_variation(p: Array, q: Array) -> float:
    """½ Σ |p - q| over the cells and, as one more cell, the plane outside the grid."""
    outside = abs(float(p.sum()) - float(q.sum()))
    return 0.5 * (float(np.abs(p - q).sum()) + outside)


def above_noise(tv: float, noise: float) -> float:
    """A total variation to a histogram, less what the histogram's own noise adds: √max(tv² - noise², 0).

    Errors and noise of cells are independent, so they add in quadrature where one is a multiple of the other; `noise` is
    that of `executed.histogram_noise`. It is 0 for an exact truth.
    """
    return float(np.sqrt(max(tv**2 - noise**2, 0.0)))


def highest_density(masses: Array, share: float) -> Array:
    """(N, N) the part of each cell, 0 to 1, that belongs to the smallest region with `share` of the mass."""
    order = np.argsort(masses, axis=None)[::-1]
    held = np.cumsum(masses.ravel()[order])
    before = np.concatenate([[0.0], held[:-1]])
    part = np.empty(masses.size)
    part[order] = np.clip((share * held[-1] - before) / np.maximum(held - before, 1e-300), 0, 1)
    return part.reshape(masses.shape)


def find_modes(
    masses: Array, truth: Array, mixture: Mixture, policy: Any, grid: Grid, *, counted: bool = False
) -> float:
    """Share of the modes that an estimate finds: at least half of the true mass near it, and a peak where truth has one.

    A truth that was `counted` has peaks by chance, so its own are sought after a Gaussian filter of one cell.
    """
    seen = gaussian_filter(truth, 1.0) if counted else truth
    peaks = {"truth": seen == maximum_filter(seen, 3), "estimate": masses == maximum_filter(masses, 3)}
    found = []
    for mode in mixture.modes:
        near = mixture.near(mode, policy, grid)
        peaked = mixture.curved or not (peaks["truth"] & near).any() or (peaks["estimate"] & near).any()
        found.append(peaked and masses[near].sum() >= 0.5 * truth[near].sum())
    return float(np.mean(found))


def log_masses(scorer: Scorer, scores: Array, grid: Grid) -> Array:
    """(N, N) log probability of each cell from one step's scores."""
    if scorer.kind == "log_density":
        return np.asarray(scores + np.log(grid.cell_area))
    top = scores.max()
    return np.asarray(scores - top - np.log(np.exp(scores - top).sum()))


def kl_divergence(log_p: Array, log_q: Array) -> float:
    """KL(p ‖ q) [nats] of log masses (N, N), both normalised inside the grid; cells without mass in p count nothing."""
    log_p, log_q = (each - logsumexp(each) for each in (log_p, log_q))  # a score that is not a density has no outside
    held = np.isfinite(log_p)
    return float((np.exp(log_p[held]) * (log_p[held] - log_q[held])).sum())
