"""One density from Gaussians at several noise levels.

At a coarse level the Gaussians of all chunks make a smooth density, but each covers what is finer than its noise: narrow
modes side by side run together. At a fine level they are told apart, but few chunks make it rough. As in multilevel Monte
Carlo (Giles 2008, eq. 2.3), each level is corrected by the mean difference to the next of the chunks that both have:

    p(a) = p_1(a) + Σ_l w_l [p_{l+1}(a; chosen) - p_l(a; chosen)]

where w_l drops a correction that is noise. With D_g the difference from the chunks of one of GROUPS groups,
s = mean over g ≠ h of <D_g, D_h> / |mean of D_g|² is the part of the mean difference that is not noise, because
independent noise cancels in <D_g, D_h> = ∫ D_g D_h / p da, with p the mean of both levels, so that wide modes count as much as
narrow ones. s is itself an estimate, so w rises from 0 at s = ¼ to 1 at s = ¾. No grid is involved (`points`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.gaussians import TINY, coefficients, monomials, sums
from dlscore.density.mixture import Mixture
from dlscore.scores.points import spread_points

GROUPS = 4  # runs of a level's chunks; a run of a Sobol sequence is nearly as even as the whole


@dataclass(frozen=True)
class Level:
    """The Gaussians of one step at one noise level, in the order of the chunks: mean (m, 2) [px], covariance (m, 2, 2) [px²]."""

    mean: Array
    covariance: Array


@dataclass(frozen=True)
class Joined:
    """The density of one step: `mixture`. Its components are those of the levels, one after another.

    Of each of L corrections: `differences` (L, K), the components' weights in p_{l+1} - p_l; `shares` (L,), the part s of it
    that is no noise; `weights` (L,), w. `groups` (1 + L, K): the group of each component in p_1 and in each correction.
    """

    mixture: Mixture
    differences: Array
    shares: Array
    weights: Array
    groups: Array


def join(levels: Sequence[Level], box: Array | None) -> Joined:
    """The density of one step from its levels, coarse to fine; each level's chunks are the first of the level before."""
    counts = [len(level.mean) for level in levels]
    first = np.cumsum([0, *counts])
    base = np.where(np.arange(first[-1]) < counts[0], 1 / counts[0], 0.0)
    differences = np.zeros((len(levels) - 1, first[-1]))
    groups = np.tile(np.arange(first[-1]) * GROUPS // counts[0], (len(levels), 1))
    shares = np.zeros(len(levels) - 1)
    for k, (coarse, fine) in enumerate(pairwise(levels)):
        count = counts[k + 1]
        group = np.arange(count) * GROUPS // count
        for sign, start in ((-1, first[k]), (1, first[k + 1])):
            differences[k, start : start + count] = sign / count
            groups[k + 1, start : start + count] = group
        shares[k] = _signal(Level(coarse.mean[:count], coarse.covariance[:count]), fine, group)
    weights = np.clip(2 * shares - 0.5, 0, 1)
    mixture = Mixture(
        np.concatenate([level.mean for level in levels]),
        np.concatenate([level.covariance for level in levels]),
        base + weights @ differences,
        base,
        box,
    )
    return Joined(mixture, differences, shares, weights, groups)


def _signal(coarse: Level, fine: Level, group: Array) -> float:
    # s of a correction from the same chunks at two levels.
    mean, covariance = np.concatenate([coarse.mean, fine.mean]), np.concatenate([coarse.covariance, fine.covariance])
    points, proposal = spread_points(coarse.mean, coarse.covariance)
    member = (group[:, None] == np.arange(GROUPS)) * (GROUPS / len(group))  # (m, G)
    columns = np.column_stack([np.vstack([-member, member]), np.full(len(mean), 0.5 / len(group))])
    relative, scale = sums(monomials(points) @ coefficients(mean, covariance), columns.astype(np.float32))
    both = np.maximum(relative[:, -1], TINY)
    weight = np.exp(scale - proposal) / both
    products = relative[:, :-1].T @ (weight[:, None] * relative[:, :-1])  # <D_g, D_h>
    everything = float(products.sum())
    across = everything - float(np.trace(products))
    return across * GROUPS / (GROUPS - 1) / everything if everything > 0 else 0.0
