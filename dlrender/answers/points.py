"""Points of a mixture with weights, by which any expectation under its density is a sum.

The points are those of the mixture's base (its coarse level), spread evenly; their weights p / b make up for what the base
lacks (importance sampling, normalised: Owen 2013, chapter 9). One evaluation of the mixture at them serves entropy, ranks and
areas alike, and none of these depends on the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.censoring import Pieces
from dlscore.density.gaussians import FLOOR, LOWEST, TINY, ZERO, blocks, monomials, moved
from dlscore.density.mixture import Mixture
from dlscore.density.normal import even_normals

MARGIN = 20.0  # px around what a window shows
NATS = ("surprise", "excess")  # columns of a step table that are infinite where an action cannot be taken
POINTS = 256  # error of one step's entropy: 0.045 nats, independent from step to step


@dataclass(frozen=True)
class WeightedPoints:
    """point (P, 2) px; log_density (P,) [nats / px²]; weight (P,), of sum 1: Σ weight · f(point) is E[f] under the density."""

    point: Array
    log_density: Array
    weight: Array

    @cached_property
    def entropy(self) -> float:
        """H = E[−log p] [nats], with areas in px²."""
        return float(-(self.weight @ self.log_density))

    @cached_property
    def _densest_first(self) -> tuple[Array, Array, Array]:
        # (P,) log density from the peak down, and the mass and the area [px²] of the region that is as dense
        order = np.argsort(-self.log_density)
        log_density, weight = self.log_density[order], self.weight[order]
        return log_density, np.cumsum(weight), np.cumsum(weight * np.exp(-log_density))

    def denser(self, log_density: float) -> float:
        """P(p(X) > p) for the log density of an action: its rank among highest-density regions, 0 at the peak."""
        return float(self.weight[self.log_density > log_density].sum())

    def areas(self, levels: tuple[float, ...]) -> Array:
        """(L,) px²: areas of the highest-density regions of these levels, ∫ 1[p > t] = E[1[p > t] / p] (Hyndman 1996)."""
        _, mass, area = self._densest_first
        found: Array = np.interp(levels, mass, area)
        return found

    def threshold(self, level: float) -> float:
        """The log density at the border of the highest-density region of a level [nats / px²]."""
        log_density, mass, _ = self._densest_first
        return float(np.interp(level, mass, log_density))

    def likely(self, level: float = 0.95) -> Array:
        """(K, 2) px: the points in that region."""
        found: Array = self.point[self.log_density >= self.threshold(level)]
        return found


def can_be_taken(surprise: Array) -> Array:
    """Whether an action is in the policy's box, by its surprise: outside, the density is 0, and `ZERO` stands for its log."""
    found: Array = surprise < -0.5 * ZERO
    return found


def only_taken(values: Array, surprise: Array) -> Array:
    """Values (N,) where the actions of these surprises (N,) can be taken; nan elsewhere, where a surprise is infinite."""
    found: Array = np.where(can_be_taken(surprise), values, np.nan)
    return found


def weighted_points(mixture: Mixture, rng: np.random.Generator, count: int = POINTS) -> WeightedPoints:
    """`count` points of a mixture; those beyond its box are left out.

    The additive recurrence of Roberts (2018) fills the square evenly; `rng` shifts it (Cranley & Patterson 1976), so that the
    errors of different steps are independent.
    """
    return weighted_points_of([mixture], [rng], count)[0]


def weighted_points_of(
    mixtures: Sequence[Mixture], rngs: Sequence[np.random.Generator], count: int = POINTS
) -> list[WeightedPoints]:
    """The same of S mixtures, each with its own random numbers, in less time than one by one."""
    points = _even_points([each.pieces for each in mixtures], np.array([rng.random(3) for rng in rngs]), count)
    origin = points.mean(axis=1)
    places = monomials(points, origin[:, None]).astype(np.float32)  # (S, P, 6)
    return [_weighted(*each) for each in zip(mixtures, points, origin, places, strict=True)]


def _even_points(pieces: Sequence[Pieces], shift: Array, count: int) -> Array:
    # (S, P, 2) px: points of the bases, by shifts (S, 3) of the recurrence, the first of them along its index
    index = np.arange(count) + shift[:, :1]
    normal = even_normals(index, shift[:, 1:].T[:, :, None])
    # So that the entropy of one Gaussian is nearly exact.
    normal *= np.sqrt(2 * count / (normal**2).sum(axis=(0, 2)))[:, None]
    chosen, first = np.empty(index.shape, dtype=np.intp), 0
    for row, each in enumerate(pieces):
        total = np.cumsum(each.weight[:, 1])
        place = np.searchsorted(total, index[row] * (total[-1] / count))
        chosen[row] = first + np.minimum(place, len(total) - 1)
        first += len(total)
    covariance = np.concatenate([each.covariance for each in pieces]).reshape(-1, 4).T[:, chosen]
    along = normal[0] * np.sqrt(covariance[0])  # by the triangular root of the covariance
    slope = covariance[1] / covariance[0]
    rest = np.sqrt(covariance[3] - slope * covariance[1])
    mean = np.concatenate([each.mean for each in pieces])[chosen]
    points: Array = mean + np.stack([along, slope * along + rest * normal[1]], axis=-1)
    return points


def _weighted(mixture: Mixture, points: Array, origin: Array, places: Array) -> WeightedPoints:
    """Points (P, 2) px of the base, with their monomials (P, 6) relative to `origin` (2,) px, as weighted points.

    All in float32, with the origin amid the points: an error of 1e-4 in the log density, or of 5e-3 where places 300 px apart
    have deviations of 2 px. Sums are relative to the highest peak of all Gaussians: unlike elsewhere, one scale is enough for
    all points, since none is in a tail.
    """
    if mixture.box is not None:
        within = mixture.within(points)
        points, places = points[within], places[within]
    pieces = mixture.pieces
    xx, yy = pieces.covariance[:, 0, 0], pieces.covariance[:, 1, 1]
    log_scale = float(-0.5 * np.log((xx * yy - pieces.covariance[:, 0, 1] ** 2).min()) - np.log(2 * np.pi))
    linear = moved(mixture.linear, origin)
    linear[-1] -= log_scale
    linear, weights = linear.astype(np.float32), pieces.weight.astype(np.float32)
    found = np.empty((len(points), 2))
    for part in blocks(len(points), len(weights)):
        terms = places[part] @ linear
        np.maximum(terms, LOWEST, out=terms)
        np.exp(terms, out=terms)
        found[part] = terms @ weights
    coarse = np.maximum(found[:, 1], TINY)
    density = np.maximum(found[:, 0], FLOOR * coarse)
    ratio = density / coarse
    return WeightedPoints(points, np.log(density) + log_scale + mixture.log_norm, ratio / ratio.sum())


def window_around(points: Array) -> tuple[float, float, float]:
    """Left, top and side [px] of a square around points (P, 2) px, not much beyond the world."""
    low = np.maximum(points.min(axis=0) - MARGIN, -MARGIN)
    high = np.minimum(points.max(axis=0) + MARGIN, WORLD_SIZE + MARGIN)
    side = float((high - low).max())
    left, top = ((low + high) / 2 - side / 2).tolist()
    return left, top, side
