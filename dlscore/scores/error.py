"""How far the density of a step may be from the truth, told from the estimate itself.

Each half of the chunks makes a density of its own, as the whole does. Half the total variation between the densities of two
halves is the standard error of the whole, if the chunks are independent. Points of a Sobol sequence are more even than that: the
halves of which each is one run of it are nearer to each other than halves of every other run, by a factor ρ. If the whole were
as much better than its halves as these are than their runs, its error would be ρ times as large; its root is taken, between that
and independence. What the halves share does not show there: the bias of the levels, whose size the last correction tells, that
of the chunks' weights, taken as a share of what they change, and that of the sampler (`executed.sampler_bias`). Distances are
integrals over the plane by importance sampling, so they do not depend on the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.gaussians import FLOOR, TINY, coefficients, monomials, sums
from dlscore.scores.multilevel import Joined
from dlscore.scores.points import spread_points

EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0)  # [nats] below the peak
DISTANCES = EDGES[1:]  # upper ends of the bins
# How much of each part is in the error: fitted to known densities (dlscore/certify) and reported on others.
SHARES = {"sampling": 1.0, "weighed": 0.5, "dropped": 0.3, "beyond": 0.45, "sampler": 1.0}
# What is left where all parts vanish: that of the solver, and of the executed density also that of its linear steps.
LEAST = {"executed": 0.002, "model": 0.0007}


@dataclass(frozen=True)
class ErrorEstimate:
    """`total_variation`: the estimated total variation to the truth. `log_error` (B,): the standard error of the log density
    [nats] at each of DISTANCES below the peak. `parts`: what the first is made of."""

    total_variation: float
    log_error: Array
    parts: dict[str, float]


def estimate_error(joined: Joined, density: str = "executed", bias: float = 0.0) -> ErrorEstimate:
    """Of one step's `density`, executed or model. bias: of the sampler, which the chunks do not show (`executed`)."""
    mixture, coarse = joined.mixture, joined.mixture.base > 0
    points, proposal = spread_points(mixture.mean[coarse], mixture.covariance[coarse])
    moved = np.where(coarse, mixture.base - 1 / coarse.sum(), 0.0)
    columns = [
        mixture.weight,
        mixture.base,
        moved,
        *joined.differences,
        *joined.halves.reshape(-1, len(mixture.weight)),
    ]
    relative, scale = sums(
        monomials(points) @ coefficients(mixture.mean, mixture.covariance),
        np.stack(columns, axis=-1).astype(np.float32),
    )
    weight = np.exp(scale - proposal) / len(points)
    floored = np.maximum(np.maximum(relative[:, 0], FLOOR * relative[:, 1]), TINY)
    weighed, *corrections = 0.5 * weight @ np.abs(relative[:, 2 : 3 + len(joined.shares)])
    halves = relative[:, 3 + len(joined.shares) :].reshape(len(points), -1, 2, 2)  # by pair, half, and weights or base
    densities = np.maximum(np.maximum(halves[..., 0], FLOOR * halves[..., 1]), 1e-3 * floored[:, None, None])
    differ = densities[..., 0] - densities[..., 1]
    told = corrections * np.sqrt(np.clip(joined.shares, 0, 1))
    parts = {
        "sampling": _sampling(0.25 * weight @ np.abs(differ)),
        "weighed": float(weighed),
        "dropped": float(np.linalg.norm((1 - joined.weights) * told)),
        "beyond": float(joined.weights[-1] * told[-1]) if len(told) else 0.0,
        "sampler": bias,
    }
    logs = np.log(densities)
    below = float((np.log(floored) + scale).max()) - (np.log(floored) + scale)
    square = np.square((logs[..., 0] - logs[..., 1]) / 2).mean(axis=-1)
    return ErrorEstimate(_combine(parts, LEAST[density]), _by_distance(below, square), parts)


def _sampling(apart: Array) -> float:
    # From half the total variation of each pair of halves, the first of which are runs.
    evenness = apart[0] / max(float(apart[1:].mean()), TINY)
    return float(apart.mean() * np.sqrt(min(evenness, 1.0)))


def _combine(parts: dict[str, float], least: float) -> float:
    return float(np.sqrt(least**2 + sum((SHARES[name] * part) ** 2 for name, part in parts.items())))


def _by_distance(below: Array, square: Array) -> Array:
    # Root mean squares in the bins; one without points takes the largest of the nearer ones.
    found = np.zeros(len(DISTANCES))
    for k, (low, high) in enumerate(pairwise(EDGES)):
        inside = (below >= low) & (below < high)
        found[k] = np.sqrt(square[inside].mean()) if inside.any() else found[:k].max(initial=0.0)
    return found
