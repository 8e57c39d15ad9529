"""One density from Gaussians at several noise levels.

At a coarse level the Gaussians of all chunks make a smooth density, but each covers what is finer than its noise: narrow
modes side by side run together. At a fine level they are told apart, but few chunks make it rough. As in multilevel Monte
Carlo (Giles 2008, eq. 2.3), each level is corrected by the mean difference to the next of the chunks that both have:

    p(a) = p_1(a) + Σ_l w_l [p_{l+1}(a; chosen) - p_l(a; chosen)]

where w_l drops a correction that is noise. With D_g the difference from the chunks of one of GROUPS groups, as if they were all,
s = mean over g ≠ h of <D_g, D_h> / |mean of D_g|² is the part of the mean difference that is not noise, because
independent noise cancels in <D_g, D_h> = ∫ D_g D_h / p da, with p the mean of both levels, so that wide modes count as much as
narrow ones. s is itself an estimate, so w rises from 0 at s = ¼ to 1 at s = ¾. No grid is involved (`points`).

Chunks count by weights (`weigh`), the same at all levels. They are found from all chunks, which the groups' independence leaves
out of account. Each half of the chunks makes a density, for `error`, with weights of its own where it has all its chunks; at a
level of fewer chunks, with those of the whole.
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
HALVES = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))  # the groups of each half, one after the other of three pairs


@dataclass(frozen=True)
class Level:
    """The Gaussians of one step at one noise level, in the order of the chunks: mean (m, 2) [px], covariance (m, 2, 2) [px²]."""

    mean: Array
    covariance: Array


@dataclass(frozen=True)
class Joined:
    """The density of one step: `mixture`. Its components are those of the levels, one after another.

    Of each of L corrections: `differences` (L, K), the components' weights in p_{l+1} - p_l; `shares` (L,), the part s of it
    that is no noise; `weights` (L,), w. `halves` (len(HALVES), 2, K): the weights and the base of the density of each half.
    """

    mixture: Mixture
    differences: Array
    shares: Array
    weights: Array
    halves: Array


def groups_of(count: int) -> Array:
    """(count,) the group of each chunk of a level."""
    return np.arange(count) * GROUPS // count


def even_weights(count: int) -> Array:
    """(1 + len(HALVES), count) the same for all chunks: of all, and of those of each half; each row has the sum 1."""
    rows = np.stack([np.ones(count), *(np.isin(groups_of(count), half) for half in HALVES)])
    return _normalised(rows)


def join(levels: Sequence[Level], box: Array | None, chunks: Array | None = None) -> Joined:
    """The density of one step from its levels, coarse to fine; each level's chunks are the first of the level before.

    chunks: (1 + len(HALVES), m) weights of the chunks of the first level, as of `even_weights`, which is the default.
    """
    counts = [len(level.mean) for level in levels]
    first = np.cumsum([0, *counts])
    chunks = even_weights(counts[0]) if chunks is None else chunks
    base = np.zeros((len(chunks), first[-1]))
    base[:, : counts[0]] = chunks
    differences = np.zeros((len(levels) - 1, len(chunks), first[-1]))
    shares = np.zeros(len(levels) - 1)
    for k, (coarse, fine) in enumerate(pairwise(levels)):
        count = counts[k + 1]
        used = chunks if count == counts[0] else _normalised(even_weights(count) * chunks[0, :count])
        differences[k, :, first[k] : first[k] + count] = -used
        differences[k, :, first[k + 1] : first[k + 1] + count] = used
        shares[k] = _signal(Level(coarse.mean[:count], coarse.covariance[:count]), fine, used[0])
    weights = np.clip(2 * shares - 0.5, 0, 1)
    joined = base + np.tensordot(weights, differences, 1)
    mixture = Mixture(
        np.concatenate([level.mean for level in levels]),
        np.concatenate([level.covariance for level in levels]),
        joined[0],
        base[0],
        box,
    )
    return Joined(mixture, differences[:, 0], shares, weights, np.stack([joined[1:], base[1:]], axis=1))


def _normalised(rows: Array) -> Array:
    found: Array = rows / rows.sum(axis=1, keepdims=True)
    return found


def _signal(coarse: Level, fine: Level, weight: Array) -> float:
    # s of a correction from the same chunks at two levels.
    mean, covariance = np.concatenate([coarse.mean, fine.mean]), np.concatenate([coarse.covariance, fine.covariance])
    points, proposal = spread_points(coarse.mean, coarse.covariance)
    member = (groups_of(len(weight))[:, None] == np.arange(GROUPS)) * weight[:, None]  # (m, G)
    member = member / member.sum(axis=0)
    columns = np.column_stack([np.vstack([-member, member]), np.tile(weight / 2, 2)])
    relative, scale = sums(monomials(points) @ coefficients(mean, covariance), columns.astype(np.float32))
    both = np.maximum(relative[:, -1], TINY)
    weight = np.exp(scale - proposal) / both
    products = relative[:, :-1].T @ (weight[:, None] * relative[:, :-1])  # <D_g, D_h>
    everything = float(products.sum())
    across = everything - float(np.trace(products))
    return across * GROUPS / (GROUPS - 1) / everything if everything > 0 else 0.0
