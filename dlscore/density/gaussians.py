"""Many Gaussians in the plane at many points: their logarithms by one product of matrices, and their signed sum.

The log density of a component, -½ (a-m)ᵀ P (a-m) + const, is the product of the monomials of a's coordinates with six
coefficients. Coordinates are relative to the world's centre, so that the terms that cancel stay small.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE

CENTRE = WORLD_SIZE / 2
FLOOR = 0.02  # corrections leave at least this part of the coarse level's density
ZERO = -1e6  # the log density [nats / px²] where the density is exactly 0
BLOCK = 1 << 18  # so many numbers (component × point) are in memory at a time: they stay in the processor's cache
TINY = 1e-30  # of the largest term: no sum is less
LOWEST = np.float32(-80)  # exp of less adds nothing to a sum, and float32 would be denormal: 20 times slower


def precision(covariance: Array) -> tuple[Array, Array, Array, Array]:
    """The entries xx, xy, yy [1 / px²] of the inverse of covariances (K, 2, 2) px², and log det of these; each (K,)."""
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    determinant = xx * yy - xy**2
    return yy / determinant, -xy / determinant, xx / determinant, np.log(determinant)


def smallest_eigenvalue(covariance: Array) -> Array:
    """(K,) px² of covariances (K, 2, 2) px², without cancellation."""
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    smallest: Array = (xx * yy - xy**2) / ((xx + yy) / 2 + np.sqrt((xx - yy) ** 2 / 4 + xy**2))
    return smallest


def coefficients(mean: Array, covariance: Array) -> Array:
    """(6, K) of the monomials, for means (K, 2) px and covariances (K, 2, 2) px²."""
    pxx, pxy, pyy, log_determinant = precision(covariance)
    mx, my = (mean - CENTRE).T
    constant = -0.5 * (pxx * mx**2 + 2 * pxy * mx * my + pyy * my**2) - 0.5 * log_determinant - np.log(2 * np.pi)
    return np.stack([-pxx / 2, -pxy, -pyy / 2, pxx * mx + pxy * my, pxy * mx + pyy * my, constant])


def moved(linear: Array, origin: Array) -> Array:
    """The coefficients (6, K) for coordinates relative to `origin` (2,) px instead of the world's centre."""
    x, y = origin - CENTRE
    change = np.eye(6)
    change[3:5, :3] = [[2 * x, y, 0], [0, x, 2 * y]]
    change[5, :5] = x * x, x * y, y * y, x, y
    found: Array = change @ linear
    return found


def monomials(points: Array, origin: Array | float = CENTRE) -> Array:
    """(..., 6) of points (..., 2) px, of coordinates relative to `origin` (`moved` has the coefficients for another one)."""
    x, y = np.moveaxis(points - origin, -1, 0)
    return np.stack([x * x, x * y, y * y, x, y, np.ones_like(x)], axis=-1)


def blocks(points: int, components: int) -> Iterator[slice]:
    """Ranges of points, few enough that their product with the components is in memory at once."""
    size = max(1, BLOCK // max(1, components))
    for first in range(0, points, size):
        yield slice(first, min(first + size, points))


def sums(logs: Array, weights: Array, factors: Array | None = None) -> tuple[Array, Array]:
    """(..., P, W) Σ w f exp(l) relative to the largest exp(l) of each point, and the log of that (..., P).

    logs: l (..., P, K), overwritten; weights: w (..., K, W) float32; factors: f (P, F) float32 of the first F components, of
    the order of 1; 1 for the others. Sums are in float32: an error of 1e-6 of Σ |w| exp(l).
    """
    largest = logs.max(axis=-1)
    terms = np.subtract(logs, largest[..., None], out=np.empty(logs.shape, dtype=np.float32), casting="same_kind")
    np.maximum(terms, LOWEST, out=terms)
    np.exp(terms, out=terms)
    if factors is not None:
        terms[:, : factors.shape[1]] *= factors
    return (terms @ weights).astype(np.float64), largest


def log_sum(logs: Array, weights: Array, factors: Array | None = None) -> Array:
    """(..., P) log max(Σ w f exp(l), FLOOR Σ b f exp(l)), as in `sums`; the columns of `weights` (..., K, 2) are w and b."""
    relative, largest = sums(logs, weights, factors)
    result: Array = np.log(np.maximum(np.maximum(relative[..., 0], FLOOR * relative[..., 1]), TINY)) + largest
    return result
