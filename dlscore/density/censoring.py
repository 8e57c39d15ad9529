"""A Gaussian whose draws are clipped to a box: what lies beyond an edge lies on it.

The clipped law has atoms on the edges. Here each is made of narrow Gaussians, `EDGE` px wide across the edge and `INSIDE`
px within it, with the mass that lies beyond. Their places and deviations along the edge are those of the Gaussian, given
that it is beyond (moments of a truncated Gaussian, as in Tallis 1961, here by quadrature); where the coordinates are
correlated, that law is skewed, and each of `SLABS` layers of depth gets a Gaussian of its own. First x is clipped, then y, so
that what lies beyond both goes to the corner. Every piece is cut off at the box and loses no mass by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.normal import normal_between, normal_cdf, normal_density, quadrature

EDGE, INSIDE = 1.0, 2.0  # px
ON_EDGE = 0.01  # px: an action that was clipped, as float32 keeps it
NEGLIGIBLE = 1e-6  # mass of a piece that is left out
REACH = 4.76  # deviations from an edge beyond which a Gaussian has less than that beyond it
DEPTH, NODES = 6.5, 32  # deviations of the quadrature, and its order
SLABS = (0.6, -0.2, -1.0, -2.0)  # cuts between the layers of depth, in deviations of the depth from its mean
CORRELATED = 0.25  # along the edge per deviation of depth, in deviations along the edge: from here there are layers
INWARD = np.array([1.0, -1.0])  # from the lower and from the upper edge into the box
INNER = float(normal_cdf(np.array(INSIDE / EDGE)))  # share of a piece on an edge that is not cut off


@dataclass(frozen=True)
class Pieces:
    """Gaussians, cut off at the box where there is one: mean (J, 2) [px], covariance (J, 2, 2) [px²], weight (J, W)."""

    mean: Array
    covariance: Array
    weight: Array


NAMES = [each.name for each in fields(Pieces)]


def censor(mixtures: Sequence[Pieces], box: Array) -> list[Pieces]:
    """The pieces of the Gaussians of several mixtures, clipped to `box` [[xmin, ymin], [xmax, ymax]] px.

    Weights are (K, W), W of each Gaussian. Cut off at the box, its pieces have the same mass in total as it has. 32 mixtures
    at once take 3 times as long as one.
    """
    all_of = _joined(mixtures)
    owner = np.repeat(np.arange(len(mixtures)), [len(each.mean) for each in mixtures])
    deviation = np.sqrt(np.diagonal(all_of.covariance, axis1=1, axis2=2))
    away = np.minimum(all_of.mean - box[0], box[1] - all_of.mean)
    near = np.flatnonzero((away < REACH * deviation).any(axis=1))
    if not len(near):
        return list(mixtures)
    outside = np.zeros(len(owner))
    parts, owners = [], []
    for piece, k in _on_edges(all_of.mean[near], all_of.covariance[near], box):
        outside += np.bincount(near[k], piece.weight[:, 0] * _inside(piece, box), len(owner))
        merged, of = _merged(piece, all_of.weight[near[k]], owner[near[k]])
        parts.append(merged)
        owners.append(of)
    left = outside < 1 - NEGLIGIBLE  # some of it is in the box
    found = _joined([_some(all_of, left), *parts])
    of = np.concatenate([owner[left], *owners])
    if len(mixtures) == 1:
        return [found]
    order = np.argsort(of, kind="stable")
    found, ends = _some(found, order), np.cumsum(np.bincount(of, minlength=len(mixtures))).tolist()
    return [_some(found, slice(first, last)) for first, last in zip([0, *ends], ends, strict=False)]


def spread_edges(points: Array, box: Array, rng: np.random.Generator) -> Array:
    """Points (..., 2) px, of which those on an edge of the box are moved into it as the pieces there are spread."""
    lower, upper = on_edges(points, box)
    within = np.abs(rng.standard_normal(points.shape) * EDGE + INSIDE)  # folded at the edge, where pieces are cut off
    spread: Array = np.where(lower, box[0] + within, np.where(upper, box[1] - within, points))
    return spread


def on_edges(points: Array, box: Array) -> tuple[Array, Array]:
    """(..., 2) bool each: which coordinates of points (..., 2) px were clipped to the box's lower and to its upper edges."""
    return np.abs(points - box[0]) < ON_EDGE, np.abs(points - box[1]) < ON_EDGE


def _joined(parts: Sequence[Pieces]) -> Pieces:
    return Pieces(*(np.concatenate([getattr(part, name) for part in parts]) for name in NAMES))


def _some(pieces: Pieces, chosen: Array | slice) -> Pieces:
    return Pieces(*(getattr(pieces, name)[chosen] for name in NAMES))


def _merged(piece: Pieces, weight: Array, owner: Array) -> tuple[Pieces, Array]:
    # The pieces with the weights (J, W) of their components, and whose they are; in a corner all of one are alike: one piece.
    weights = piece.weight * weight
    if not len(owner) or (piece.mean != piece.mean[0]).any() or (piece.covariance != piece.covariance[0]).any():
        return Pieces(piece.mean, piece.covariance, weights), owner
    owners, index = np.unique(owner, return_inverse=True)
    total = np.stack([np.bincount(index, each) for each in weights.T], axis=-1)
    return Pieces(piece.mean[: len(owners)], piece.covariance[: len(owners)], total), owners


def _inside(piece: Pieces, box: Array) -> Array:
    # (J,) share in the box, of Gaussians without correlation
    deviation = np.sqrt(np.diagonal(piece.covariance, axis1=1, axis2=2))
    share: Array = normal_between(piece.mean, deviation, box[0], box[1]).prod(axis=1)
    return share


def _on_edges(mean: Array, covariance: Array, box: Array) -> Iterator[tuple[Pieces, Array]]:
    # Pieces on edges and corners, whose weight (J, 1) is relative to that of their component; and of which components.
    mass, y, variance, side, k = _layers(
        mean, covariance, 0, box, None
    )  # left and right, and from there to the corners
    x = (box[:, 0] + INSIDE * INWARD)[side]
    yield _piece(x, y, EDGE**2, variance, mass / INNER, k)
    for end in range(2):
        share = mass * normal_cdf(INWARD[end] * (box[end, 1] - y) / np.sqrt(variance))
        corner = box[end, 1] + INWARD[end] * INSIDE
        for one in (side == 0, side == 1) if share.max(initial=0) > NEGLIGIBLE else ():
            yield _piece(x[one], corner, EDGE**2, EDGE**2, share[one] / INNER**2, k[one])
    limits = (float(box[0, 0]), float(box[1, 0]))
    mass, x, variance, side, k = _layers(
        mean, covariance, 1, box, limits
    )  # top and bottom, of what is not beyond these
    inner = np.maximum(normal_between(x, np.sqrt(variance), *limits), 1e-3)
    yield _piece(x, (box[:, 1] + INSIDE * INWARD)[side], variance, EDGE**2, mass / INNER / inner, k)


def _piece(
    x: Array | float, y: Array | float, xx: Array | float, yy: Array | float, factor: Array, k: Array
) -> tuple[Pieces, Array]:
    kept = factor > NEGLIGIBLE
    mean, covariance = np.empty((len(k), 2)), np.zeros((len(k), 2, 2))
    mean[:, 0], mean[:, 1], covariance[:, 0, 0], covariance[:, 1, 1] = x, y, xx, yy
    return Pieces(mean[kept], covariance[kept], factor[kept][:, None]), k[kept]


def _layers(
    mean: Array, covariance: Array, axis: int, box: Array, limits: tuple[float, float] | None
) -> tuple[Array, Array, Array, Array, Array]:
    # For each layer (L,) beyond the two edges across an axis: mass, mean and variance along the edge, which edge, and of
    # which component.
    deviation = np.sqrt(covariance[:, axis, axis])
    slope = covariance[:, 0, 1] / deviation  # the other coordinate moves so far with a deviation of this one
    rest = np.sqrt(np.maximum(covariance[:, 1 - axis, 1 - axis] - slope**2, 1e-9))
    top = INWARD[:, None] * (box[:, axis, None] - mean[:, axis]) / deviation  # depths z below it are beyond
    side, k = np.nonzero(top > -REACH)
    top, slope, rest = top[side, k], INWARD[side] * slope[k], rest[k]
    hazard = normal_density(top) / np.maximum(normal_cdf(top), 1e-9)
    spread = np.sqrt(np.clip(1 - top * hazard - hazard**2, 0.01, 1))
    cuts = np.stack([np.minimum(top, DEPTH), *(np.minimum(top, cut * spread - hazard) for cut in SLABS)])
    ends = np.concatenate([cuts, np.minimum(top, 0)[None] - DEPTH])
    layered = np.abs(slope) > CORRELATED * rest
    chosen = np.concatenate([np.flatnonzero(~layered), np.tile(np.flatnonzero(layered), len(cuts))])
    high = np.concatenate([ends[0, ~layered], ends[:-1, layered].ravel()])
    low = np.concatenate([ends[-1, ~layered], ends[1:, layered].ravel()])
    side, k = side[chosen], k[chosen]
    return *_moments(mean[k, 1 - axis], slope[chosen], rest[chosen], low, high, limits), side, k


def _moments(
    centre: Array, slope: Array, rest: Array, low: Array, high: Array, limits: tuple[float, float] | None
) -> tuple[Array, Array, Array]:
    """Mass (L,) of a coordinate u = `centre` + `slope` z + `rest` N(0, 1) within its `limits`, z being N(0, 1) from `low` to
    `high`; and mean and variance of the Gaussian that the limits cut off: that of u, where z counts by what it has there.
    """
    nodes, weights = quadrature(NODES)
    half = np.maximum(high - low, 0)[:, None] / 2
    z = low[:, None] + half * (1 + nodes)
    place = centre[:, None] + slope[:, None] * z
    density = weights * half * normal_density(z)
    if limits is not None:
        reach = DEPTH * rest
        cut = (place.min(axis=1) - reach < limits[0]) | (
            place.max(axis=1) + reach > limits[1]
        )  # of the others all is within
        density[cut] *= normal_between(place[cut], rest[cut, None], *limits)
    mass = density.sum(axis=1)
    share = density / np.maximum(mass, 1e-3 * NEGLIGIBLE)[:, None]  # what has less is left out
    mean = (share * place).sum(axis=1)
    return mass, mean, (share * (place - mean[:, None]) ** 2).sum(axis=1) + rest**2
