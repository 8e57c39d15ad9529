"""Mixtures rounded to what is stored of them.

A cache keeps float32. Digits that no picture or number shows are set to zero first, so that the file packs well: means and
covariances keep digits down to a small part of the component's own narrowest deviation. What is computed from a rounded
mixture is exactly what any reader of the file computes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.gaussians import smallest_eigenvalue
from dlscore.density.mixture import Mixture

MEAN_BITS = 6  # a mean moves by less than 2^-7 of the narrowest deviation
ALIKE_BITS = 10  # where all covariances are alike, the means are all that tells components apart, and pack no worse
COVARIANCE_BITS = 10  # an entry moves by less than 2^-11 of the smallest eigenvalue
CHUNK_STEP = 1 / 16  # px: of denoised chunks


def rounded(mixture: Mixture) -> Mixture:
    """The mixture as a cache stores it; of a rounded one, the same."""
    scale = _scale(mixture.covariance)
    covariance = _to_multiple(mixture.covariance, scale * 2.0**-COVARIANCE_BITS)
    # Where rounding lifts an eigenvalue over a power of two, it is done again, so that of a rounded mixture nothing changes.
    scale = np.maximum(scale, _scale(covariance))
    covariance = _to_multiple(mixture.covariance, scale * 2.0**-COVARIANCE_BITS)
    bits = ALIKE_BITS if (covariance == covariance[0]).all() else MEAN_BITS
    return replace(
        mixture,
        mean=_to_multiple(mixture.mean, 2.0 ** np.floor(np.log2(scale[:, 0]) / 2) * 2.0**-bits),
        covariance=covariance,
        weight=mixture.weight.astype(np.float32),
        base=mixture.base.astype(np.float32),
        log_norm=float(np.float32(mixture.log_norm)),
    )


def _scale(covariance: Array) -> Array:
    # (K, 1, 1) px²: the smallest eigenvalue, rounded down to a power of two
    scale: Array = np.exp2(np.floor(np.log2(smallest_eigenvalue(covariance))))[:, None, None]
    return scale


def _to_multiple(values: Array, step: Array) -> Array:
    rounded: Array = np.round(values / step) * step
    return rounded.astype(np.float32).astype(np.float64)
