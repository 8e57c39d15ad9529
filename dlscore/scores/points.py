"""Points in the plane at which densities are compared: an integral over the plane is a weighted sum over them.

They follow the coarse Gaussians of a step and, for the tails, wider copies of these (defensive importance sampling, Owen & Zhou
2000). So what is integrated does not depend on any grid.
"""

from __future__ import annotations

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.gaussians import TINY, coefficients, monomials, sums

SPREADS = (1.0, 2.0, 4.0)  # how much wider the copies are
POINTS = 384  # of each


def spread_points(mean: Array, covariance: Array) -> tuple[Array, Array]:
    """(P, 2) px, and the log density (P,) [nats / px²] that they are drawn from, for Gaussians (m, 2) px, (m, 2, 2) px²."""
    rng, count = np.random.default_rng(0), len(SPREADS) * POINTS
    chosen = rng.permutation((np.arange(count) * len(mean)) // count)
    spread = np.repeat(SPREADS, POINTS)
    roots = np.linalg.cholesky(covariance)
    points = mean[chosen] + spread[:, None] * np.einsum("nij,nj->ni", roots[chosen], rng.standard_normal((count, 2)))
    wide = np.concatenate([covariance * factor**2 for factor in SPREADS])
    logs = monomials(points) @ coefficients(np.tile(mean, (len(SPREADS), 1)), wide)
    total, largest = sums(logs, np.full((len(wide), 1), 1 / len(wide), dtype=np.float32))
    return points, np.log(np.maximum(total[:, 0], TINY)) + largest
