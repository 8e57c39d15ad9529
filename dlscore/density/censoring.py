"""A Gaussian whose draws are clipped to a box: what lies beyond an edge lies on it.

The clipped law has atoms on the edges. Here each is made of narrow Gaussians, `EDGE` px wide across the edge and `INSIDE`
px within it, with the mass that lies beyond. Their places and deviations along the edge are those of the Gaussian, given
that it is beyond (moments of a truncated Gaussian, as in Tallis 1961, here by quadrature); where the coordinates are
correlated, that law is skewed, and each of `SLABS` layers of depth gets a Gaussian of its own. First x is clipped, then y, so
that what lies beyond both goes to the corner. Every piece is cut off at the box and loses no mass by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.normal import normal_between, normal_cdf, normal_density, quadrature

EDGE, INSIDE = 1.0, 2.0  # px
ON_EDGE = 0.01  # px: an action that was clipped, as float32 keeps it
REACH = 5.0  # deviations from an edge beyond which a Gaussian knows nothing of it
NEGLIGIBLE = 1e-6  # mass of a piece that is left out
DEPTH, NODES = 6.5, 32  # deviations of the quadrature, and its order
SLABS = (0.6, -0.2, -1.0, -2.0)  # cuts between the layers of depth, in deviations of the depth from its mean
CORRELATED = 0.25  # along the edge per deviation of depth, in deviations along the edge: from here there are layers
INNER = float(normal_cdf(np.array(INSIDE / EDGE)))  # share of a piece on an edge that is not cut off


@dataclass(frozen=True)
class Pieces:
    """Gaussians, cut off at the box where there is one: mean (J, 2) [px], covariance (J, 2, 2) [px²], weight (J, W)."""

    mean: Array
    covariance: Array
    weight: Array


def censor(mean: Array, covariance: Array, weight: Array, box: Array) -> Pieces:
    """The pieces of Gaussians (K, 2) px, (K, 2, 2) px², clipped to `box` [[xmin, ymin], [xmax, ymax]] px.

    weight: (K, W), W weights of each Gaussian. Cut off at the box, its pieces have the same mass in total as it has.
    """
    deviation = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    near = np.flatnonzero(((mean - box[0] < REACH * deviation) | (box[1] - mean < REACH * deviation)).any(axis=1))
    if not len(near):
        return Pieces(mean, covariance, weight)
    on_edges = [
        (_merged(piece, weight[near[k]]), k, piece)
        for piece, k in _on_edges(mean[near], covariance[near], box)
        if len(k)
    ]
    outside = np.zeros(len(mean))
    for _, k, piece in on_edges:
        np.add.at(outside, near[k], piece.weight[:, 0] * _inside(piece, box))
    left = outside < 1 - NEGLIGIBLE  # some of it is in the box
    parts = [Pieces(mean[left], covariance[left], weight[left]), *(part for part, _, _ in on_edges)]
    names = ("mean", "covariance", "weight")
    return Pieces(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def spread_edges(points: Array, box: Array, rng: np.random.Generator) -> Array:
    """Points (P, 2) px, of which those on an edge of the box are moved into it as the pieces there are spread."""
    within = np.abs(rng.standard_normal(points.shape) * EDGE + INSIDE)  # folded at the edge, where pieces are cut off
    lower, upper = np.abs(points - box[0]) < ON_EDGE, np.abs(points - box[1]) < ON_EDGE
    spread: Array = np.where(lower, box[0] + within, np.where(upper, box[1] - within, points))
    return spread


def _merged(piece: Pieces, weight: Array) -> Pieces:
    # The pieces with the weights (J, W) of their components; in a corner all are alike, and become one.
    weights = piece.weight * weight
    if (piece.mean == piece.mean[0]).all():
        return Pieces(piece.mean[:1], piece.covariance[:1], weights.sum(axis=0, keepdims=True))
    return Pieces(piece.mean, piece.covariance, weights)


def _inside(piece: Pieces, box: Array) -> Array:
    # (J,) share in the box, of Gaussians without correlation
    deviation = np.sqrt(np.diagonal(piece.covariance, axis1=1, axis2=2))
    share: Array = normal_between(piece.mean, deviation, box[0], box[1]).prod(axis=1)
    return share


def _on_edges(mean: Array, covariance: Array, box: Array) -> Iterator[tuple[Pieces, Array]]:
    # Pieces on edges and corners, whose weight (J, 1) is relative to that of their component; and of which components.
    infinite = (-np.inf, np.inf)
    for side, sign in ((0, 1.0), (1, -1.0)):  # left and right, and from there to the corners
        x = box[side, 0] + sign * INSIDE
        for mass, y, variance, k in _layers(mean, covariance, 0, box[side, 0], sign, infinite):
            yield _piece(x, y, EDGE**2, variance, mass / INNER, k)
            for end, toward in ((0, 1.0), (1, -1.0)):
                share = normal_cdf(toward * (box[end, 1] - y) / np.sqrt(variance))
                corner = box[end, 1] + toward * INSIDE
                yield _piece(x, corner, EDGE**2, EDGE**2, mass * share / INNER**2, k)
    for side, sign in ((0, 1.0), (1, -1.0)):  # top and bottom, of what is not beyond left and right
        y = box[side, 1] + sign * INSIDE
        for mass, x, variance, k in _layers(mean, covariance, 1, box[side, 1], sign, (box[0, 0], box[1, 0])):
            inner = np.maximum(normal_between(x, np.sqrt(variance), box[0, 0], box[1, 0]), 1e-3)
            yield _piece(x, y, variance, EDGE**2, mass / INNER / inner, k)


def _piece(
    x: Array | float, y: Array | float, xx: Array | float, yy: Array | float, factor: Array, k: Array
) -> tuple[Pieces, Array]:
    kept = factor > NEGLIGIBLE
    x, y, xx, yy = (np.broadcast_to(each, kept.shape)[kept] for each in (x, y, xx, yy))
    covariance = np.zeros((len(x), 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = xx, yy
    return Pieces(np.stack([x, y], axis=-1), covariance, factor[kept][:, None]), k[kept]


def _layers(
    mean: Array, covariance: Array, axis: int, edge: float, sign: float, limits: tuple[float, float]
) -> Iterator[tuple[Array, Array, Array, Array]]:
    # For each layer beyond an edge: mass, mean and variance along the edge, and of which components.
    deviation = np.sqrt(covariance[:, axis, axis])
    slope = sign * covariance[:, 0, 1] / deviation  # the other coordinate moves so far with a deviation of this one
    rest = np.sqrt(np.maximum(covariance[:, 1 - axis, 1 - axis] - slope**2, 1e-9))
    top = sign * (edge - mean[:, axis]) / deviation  # depths z below it are beyond
    reached = top > -REACH
    layered = np.abs(slope) > CORRELATED * rest
    hazard = normal_density(top) / np.maximum(normal_cdf(top), 1e-9)
    spread = np.sqrt(np.clip(1 - top * hazard - hazard**2, 0.01, 1))
    cuts = [np.minimum(top, DEPTH), *(np.minimum(top, cut * spread - hazard) for cut in SLABS)]
    bottom = np.minimum(top, 0) - DEPTH
    for chosen, edges in ((reached & ~layered, cuts[:1]), (reached & layered, cuts)):
        k = np.flatnonzero(chosen)
        lows = [*edges[1:], bottom]
        for low, high in zip(lows, edges, strict=True) if len(k) else ():
            yield *_moments(mean[k, 1 - axis], slope[k], rest[k], low[k], high[k], limits), k


def _moments(
    centre: Array, slope: Array, rest: Array, low: Array, high: Array, limits: tuple[float, float]
) -> tuple[Array, Array, Array]:
    """Mass (K,) of a coordinate u = `centre` + `slope` z + `rest` N(0, 1) within its `limits`, z being N(0, 1) from `low` to
    `high`; and mean and variance of the Gaussian that the limits cut off: that of u, where z counts by what it has there.
    """
    nodes, weights = quadrature(NODES)
    half = np.maximum(high - low, 0)[:, None] / 2
    z = low[:, None] + half * (1 + nodes)
    place = centre[:, None] + slope[:, None] * z
    density = weights * half * normal_density(z) * normal_between(place, rest[:, None], *limits)
    mass = density.sum(axis=1)
    share = density / np.maximum(mass, 1e-3 * NEGLIGIBLE)[:, None]  # what has less is left out
    mean = (share * place).sum(axis=1)
    return mass, mean, (share * (place - mean[:, None]) ** 2).sum(axis=1) + rest**2
