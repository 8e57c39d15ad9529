"""A multistep solver whose coefficients are chosen together, for Gaussians of every width at once.

In y = x / α the probability flow is dy/dv = (y - D(y, v)) / v with D the data prediction and v = σ / α (Karras et al. 2022,
eq. 4). A step from v_k to v_{k+1} of a linear multistep solver (DPM-Solver++, Lu et al. 2022) is

    y_{k+1} = (v_{k+1} / v_k) y_k + Σ_j B_kj D_{k-j},   Σ_j B_kj = 1 - v_{k+1} / v_k

A few long steps of DPM-Solver++ leave Gaussians too narrow or too wide. For Gaussian data of variance λ, D is linear,
D - μ = κ (y - μ) with κ = λ / (λ + v²), so the deviation g_k(λ) of y_k follows from B. Here B minimises the error of all
g_k, for deviations of the data from NARROW to WIDE, with a small penalty on leaving DPM-Solver++.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.optimize import least_squares

from dlscore.common.arrays import Array

ORDER = 3  # data predictions that a step uses
NARROW, WIDE, WIDTHS = 0.005, 2.0, 60  # deviations of the data, in normalised units, that B is chosen for
RIDGE = 0.01  # weight of the distance from DPM-Solver++
BEFORE = 0.3  # weight of the levels that have no density


def data_gain(variances: Array, noise: Array | float) -> Array:
    """κ = λ / (λ + v²), the slope of the data prediction of Gaussian data."""
    gain: Array = variances / (variances + np.square(noise))
    return gain


@lru_cache(maxsize=16)
def fit_solver(noise: tuple[float, ...], aims: tuple[tuple[float, ...], ...], densities: int) -> tuple[Array, ...]:
    """B_k (≤ ORDER,) of each of K steps, newest data prediction first, through K + 1 falling levels v, of which the last
    `densities` have densities.

    aims: (K + 1, W) deviation that y shall have at each level, for data of each of `data_variances()`; at the first it is
    where chunks start. Errors weigh √κ: where κ is small the deviation hardly reaches the density.
    """
    v, variances, aim = np.array(noise), data_variances(), np.array(aims)
    gain = data_gain(variances, v[:, None])  # (K + 1, W)
    plain = _dpm_solver(v)
    importance = error_weights(gain, densities)

    def unpack(free: Array) -> tuple[Array, ...]:
        tails = np.split(free, np.cumsum([len(each) - 1 for each in plain])[:-1])
        return tuple(np.append(1 - v[k + 1] / v[k] - tail.sum(), tail) for k, tail in enumerate(tails))

    def deviations(weights: tuple[Array, ...]) -> Array:
        found = [aim[0]]
        for k, row in enumerate(weights):
            found.append(v[k + 1] / v[k] * found[k] + sum(b * gain[k - j] * found[k - j] for j, b in enumerate(row)))
        return np.stack(found)

    first = np.concatenate([each[1:] for each in plain])

    def residuals(free: Array) -> Array:
        error = importance * (deviations(unpack(free))[1:] / aim[1:] - 1)
        return np.concatenate([error.ravel(), RIDGE * (free - first)])

    return unpack(least_squares(residuals, first).x if len(first) else first)


def error_weights(gain: Array, densities: int) -> Array:
    """(K, W) weights of the relative errors of the deviations after each of K steps, by κ = `gain` (K + 1, W) at the levels, of
    which the last `densities` have densities."""
    levels = np.arange(1, len(gain))
    weights: Array = np.where(levels >= len(gain) - densities, 1.0, BEFORE)[:, None] * np.sqrt(gain[1:] / WIDTHS)
    return weights


def data_variances() -> Array:
    """(W,) variances λ of Gaussian data, in normalised units squared."""
    variances: Array = np.geomspace(NARROW, WIDE, WIDTHS) ** 2
    return variances


def _dpm_solver(v: Array) -> list[Array]:
    # DPM-Solver++(2M), algorithm 2 of Lu et al. 2022, with a third weight of 0.
    rows: list[Array] = []
    for k in range(len(v) - 1):
        row = np.zeros(min(ORDER, k + 1))
        row[0] = 1 - v[k + 1] / v[k]
        if k:
            half = row[0] * np.log(v[k] / v[k + 1]) / np.log(v[k - 1] / v[k]) / 2
            row[:2] += half, -half
        rows.append(row)
    return rows
