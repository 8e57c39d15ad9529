"""Points of a mixture with weights, by which any expectation under its density is a sum.

The points are those of the mixture's base (its coarse level), spread evenly; their weights p / b make up for what the base
lacks (importance sampling, normalised: Owen 2013, chapter 9). One evaluation of the mixture at them serves entropy, ranks and
areas alike, and none of these depends on the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.gaussians import FLOOR, TINY, blocks, coefficients, monomials, sums
from dlscore.density.mixture import Mixture

MARGIN = 20.0  # px around what a window shows
POINTS = 512  # error of one step's entropy: 0.03 nats, independent from step to step; 2.7 ms for 576 components
PLASTIC = 1.32471795724474602596  # the root of x³ = x + 1


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

    def denser(self, log_density: float) -> float:
        """P(p(X) > p) for the log density of an action: its rank among highest-density regions, 0 at the peak."""
        return float(self.weight[self.log_density > log_density].sum())

    def areas(self, levels: tuple[float, ...]) -> Array:
        """(L,) px²: areas of the highest-density regions of these levels, ∫ 1[p > t] = E[1[p > t] / p] (Hyndman 1996)."""
        order = np.argsort(-self.log_density)
        mass = np.cumsum(self.weight[order])
        area = np.cumsum(self.weight[order] * np.exp(-self.log_density[order]))
        found: Array = np.interp(levels, mass, area)
        return found

    def threshold(self, level: float) -> float:
        """The log density at the border of the highest-density region of a level [nats / px²]."""
        order = np.argsort(-self.log_density)
        return float(np.interp(level, np.cumsum(self.weight[order]), self.log_density[order]))

    def likely(self, level: float = 0.95) -> Array:
        """(K, 2) px: the points in that region."""
        found: Array = self.point[self.log_density >= self.threshold(level)]
        return found


def weighted_points(mixture: Mixture, rng: np.random.Generator, count: int = POINTS) -> WeightedPoints:
    """`count` points of a mixture; those beyond its box are left out.

    The additive recurrence of Roberts (2018) fills the square evenly; `rng` shifts it (Cranley & Patterson 1976), so that the
    errors of different steps are independent.
    """
    pieces = mixture.pieces
    base = pieces.weight[:, 1]
    index = np.arange(count) + rng.random()
    chosen = np.searchsorted(np.cumsum(base), index / count * base.sum()).clip(max=len(base) - 1)
    u, v = ((index[:, None] * PLASTIC ** -np.arange(1.0, 3.0) + rng.random(2)) % 1).T
    normal = np.sqrt(-2 * np.log1p(-u)) * np.stack([np.cos(2 * np.pi * v), np.sin(2 * np.pi * v)])  # Box & Muller 1958
    roots = np.linalg.cholesky(pieces.covariance[chosen])
    points = pieces.mean[chosen] + np.einsum("nij,jn->ni", roots, normal)
    points = points[mixture.within(points)]
    linear, weights = coefficients(pieces.mean, pieces.covariance), pieces.weight.astype(np.float32)
    parts = [sums(monomials(points[part]) @ linear, weights) for part in blocks(len(points), len(base))]
    signed, coarse = np.concatenate([relative for relative, _ in parts]).T
    coarse = np.maximum(coarse, TINY)
    density = np.maximum(signed, FLOOR * coarse)
    log_density = np.log(density) + np.concatenate([largest for _, largest in parts]) + mixture.log_norm
    ratio = density / coarse
    return WeightedPoints(points, log_density, ratio / ratio.sum())


def window_around(points: Array) -> tuple[float, float, float]:
    """Left, top and side [px] of a square around points (P, 2) px, not much beyond the world."""
    low = np.maximum(points.min(axis=0) - MARGIN, -MARGIN)
    high = np.minimum(points.max(axis=0) + MARGIN, WORLD_SIZE + MARGIN)
    side = float((high - low).max())
    left, top = ((low + high) / 2 - side / 2).tolist()
    return left, top, side
