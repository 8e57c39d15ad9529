"""The standard normal distribution, for arrays, since numpy has no erf; even deviates of it; and Gauss-Legendre quadrature."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss

from dlscore.common.arrays import Array

# Abramowitz & Stegun 1964, eq. 26.2.17: Φ to 7.5e-8.
SCALE, POLYNOMIAL = 0.2316419, (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)

# Of the recurrence in two dimensions: powers of the root of x³ = x + 1, the most irrational number there.
STEPS = 1.32471795724474602596 ** -np.arange(1.0, 3.0)


def normal_density(z: Array) -> Array:
    """φ(z); 0 at ±∞."""
    density: Array = np.exp(-0.5 * np.minimum(np.abs(z), 37.0) ** 2) / np.sqrt(2 * np.pi)
    return density


def normal_cdf(z: Array) -> Array:
    """Φ(z), with an absolute error of 1e-7."""
    t = 1 / (1 + SCALE * np.abs(z))
    polynomial = np.zeros_like(t)
    for factor in reversed(POLYNOMIAL):
        polynomial = t * (factor + polynomial)
    upper = normal_density(z) * polynomial
    probability: Array = np.where(z < 0, upper, 1 - upper)
    return probability


def normal_between(mean: Array, deviation: Array, low: Array | float, high: Array | float) -> Array:
    """The probability of Gaussians between two bounds."""
    probability: Array = normal_cdf((high - mean) / deviation) - normal_cdf((low - mean) / deviation)
    return probability


def even_normals(index: Array, shift: Array | float = 0.0) -> Array:
    """(2, ...) pairs of normal deviates that lie evenly in the plane, at places `index` (...) of a sequence.

    The additive recurrence of Roberts (2018) fills the square evenly, here moved by `shift` (2, ...); as two normal deviates
    (Box & Muller 1958).
    """
    place = np.multiply.outer(STEPS, index) + shift
    u, v = place - np.floor(place)
    deviates: Array = np.sqrt(-2 * np.log1p(-u)) * np.stack([np.cos(2 * np.pi * v), np.sin(2 * np.pi * v)])
    return deviates


@lru_cache(maxsize=256)
def quadrature(order: int) -> tuple[Array, Array]:
    """Nodes and weights (order,) of Gauss-Legendre quadrature on [-1, 1]."""
    return leggauss(order)
