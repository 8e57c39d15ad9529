"""Twice the resolution for samples on a lattice: of a sum of Gaussians, and of the logarithm of a density."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dlscore.common.arrays import Array

SPACING = 0.55  # of its smallest deviation: the coarsest lattice for a Gaussian
TAPS = 4  # samples on each side of a new one
GUARD = 2 * TAPS - 1  # samples beyond each edge of what is needed that these reach, at every level


def refined(values: Array, count: int) -> Array:
    """(2, count, count) at half the spacing, from (2, n, n) with GUARD samples more on each side of what is needed.

    GUARD is odd, so the first new sample is halfway after the old one at (GUARD - 1) / 2.
    """
    rows = _between(values, count).transpose(0, 2, 1)
    return _between(np.ascontiguousarray(rows), count).transpose(0, 2, 1)


def _between(values: Array, count: int) -> Array:
    # (2, count, m) from (2, n, m): along the rows
    half, new = GUARD // 2, count - count // 2
    out = np.empty((len(values), count, values.shape[2]), dtype=np.float32)
    out[:, 1::2] = values[:, half + 1 : half + 1 + count // 2]
    middle = np.zeros((len(values), new, values.shape[2]), dtype=np.float32)
    for k, weight in enumerate(half_band()):
        pair = values[:, half - k : half - k + new] + values[:, half + 1 + k : half + 1 + k + new]
        pair *= np.float32(weight)
        middle += pair
    out[:, ::2] = middle
    return out


def doubled(values: Array) -> Array:
    """(2n, m) from (n, m): a new row after each but the last two, by the cubic through four; the last rows repeat.

    For a logarithm: it is exact where that is a parabola, as of a Gaussian.
    """
    out = np.empty((2 * len(values), values.shape[1]), dtype=values.dtype)
    out[::2] = values
    middle = values[1:-2] + values[2:-1]
    middle *= np.float32(9 / 16)
    middle -= np.float32(1 / 16) * (values[:-3] + values[3:])
    out[3:-3:2] = middle
    out[1], out[-3:] = values[0], values[-1]
    return out


@lru_cache(maxsize=1)
def half_band() -> Array:
    """(TAPS,) the weights of the samples ½, 1½, … from a new one: least squares over Gaussians as wide as a lattice has them."""
    places = np.arange(TAPS) + 0.5
    deviation = np.geomspace(1 / SPACING, 40 / SPACING, 60)[:, None, None]
    shift = np.linspace(-6, 6, 121)[:, None] * deviation

    def gaussian(x: Array) -> Array:
        values: Array = np.exp(-0.5 * (x / deviation) ** 2)
        return values

    pairs = gaussian(shift + places) + gaussian(shift - places)
    target = gaussian(shift)
    # Constants must stay constants: the last weight follows from the others.
    reduced, known = pairs[..., :-1] - pairs[..., -1:], target[..., 0] - pairs[..., -1] / 2
    found = np.linalg.lstsq(reduced.reshape(-1, TAPS - 1), known.ravel(), rcond=None)[0]
    return np.append(found, 0.5 - found.sum())
