"""Several mixtures at once: to begin takes numpy about as long as the mixture of one step takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.censoring import censor
from dlscore.density.gaussians import ZERO, coefficients, log_sum, monomials
from dlscore.density.mixture import Mixture


def prepare_together(mixtures: Sequence[Mixture]) -> None:
    """Find the `pieces` and the `linear` of those mixtures whose pieces are not found yet. They have one box, if any."""
    mixtures = [each for each in mixtures if "pieces" not in each.__dict__]  # what was read of the others fits theirs
    if not mixtures:
        return
    found, box = [each.components for each in mixtures], mixtures[0].box
    if box is not None:
        found = censor(found, box)
    linear = coefficients(*(np.concatenate([getattr(each, name) for each in found]) for name in ("mean", "covariance")))
    ends = np.cumsum([len(each.mean) for each in found])[:-1]
    for mixture, pieces, part in zip(mixtures, found, np.split(linear, ends, axis=1), strict=True):
        mixture.__dict__.update(pieces=pieces, linear=part)  # where cached_property looks


def log_densities(mixtures: Sequence[Mixture], points: Array) -> Array:
    """(S, P) log p [nats / px²] of each of S mixtures at its own points (S, P, 2) px, as `Mixture.log_density` has them.

    The mixtures have one box, if any. All are in memory at once: meant for few points.
    """
    count = max(each.linear.shape[1] for each in mixtures)
    linear, weights = np.zeros((len(mixtures), 6, count)), np.zeros((len(mixtures), count, 2), dtype=np.float32)
    linear[:, -1] = -1e30  # what fills up has no weight, and is nowhere the largest
    for row, each in enumerate(mixtures):
        linear[row, :, : each.linear.shape[1]], weights[row, : each.linear.shape[1]] = each.linear, each.pieces.weight
    found = log_sum(monomials(points) @ linear, weights)
    found += np.array([[each.log_norm] for each in mixtures])
    return np.where(mixtures[0].within(points), np.maximum(found, ZERO), ZERO)
