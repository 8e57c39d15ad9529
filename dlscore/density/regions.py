"""Highest-density regions of the whole mass, and the rank of an action among them.

The highest-density region of level α is the smallest set that holds the probability α (Hyndman 1996): where the density is
above a threshold. α is of the whole mass. The grid may hold less of it, for policies that place mass beyond the world: then
a region of a larger level than the grid holds goes beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.censoring import spread_edges
from dlscore.density.mixture import Mixture

DRAWS = 1000  # of a mixture, among which an action is ranked


@dataclass(frozen=True)
class Region:
    """Cells whose log density is at least `threshold` hold `level` of the mass; `fits`: so much of it is on the grid.

    Where it does not fit, every cell is in the region, and `threshold` is -inf.
    """

    level: float
    threshold: float
    fits: bool


@dataclass(frozen=True)
class Ranks:
    """P(p(X) > p(a)) for each of P actions a: 0 at the peak, 1 in the tail; uniform if the density is that of the actions.

    `low` and `high` bound it, (P,) each; `randomised` (P,) is between them at random, so that ties bias nothing (the
    randomised probability integral transform: Czado, Gneiting & Held 2009).
    """

    low: Array
    high: Array
    randomised: Array


def mass_inside(log_density: Array, cell_area: float) -> float:
    """Probability on the grid: at most 1; log_density (N, N) [nats / px²] of cells of `cell_area` px²."""
    return min(1.0, float(np.exp(np.asarray(log_density, dtype=np.float64)).sum() * cell_area))


def regions(log_density: Array, cell_area: float, levels: Sequence[float]) -> list[Region]:
    """The regions of `levels`, each above 0 and below 1, from log densities of cells (N, N) [nats / px²]."""
    highest = np.sort(np.asarray(log_density, dtype=np.float64), axis=None)[::-1]
    mass = np.cumsum(np.exp(highest) * cell_area)
    found = []
    for level in levels:
        # The level between two cells, whose mass is nearest to it: a cell is either in a region or not.
        cell = int(np.searchsorted(mass, level))
        fits = cell < len(mass)
        if fits and cell and level - mass[cell - 1] < mass[cell] - level:
            cell -= 1
        found.append(Region(level, float(highest[cell]) if fits else -np.inf, fits))
    return found


def hdr_ranks(mixture: Mixture, points: Array, rng: np.random.Generator, draws: int = DRAWS) -> Ranks:
    """The ranks of actions (P, 2) px among `draws` of the mixture and themselves.

    An action and n draws of the same density are exchangeable: if g draws are denser and t as dense, the rank is uniform
    between g / (n + 1) and (g + t + 1) / (n + 1), exactly, for every n. Actions on an edge of the mixture's box are spread as
    its density spreads what lies there.
    """
    reference = np.sort(mixture.log_density(mixture.draw(draws, rng)))
    own = mixture.log_density(points if mixture.box is None else spread_edges(points, mixture.box, rng))
    denser = draws - np.searchsorted(reference, own, side="right")
    as_dense = draws - np.searchsorted(reference, own, side="left") - denser
    low, high = denser / (draws + 1), (denser + as_dense + 1) / (draws + 1)
    return Ranks(low, high, low + (high - low) * rng.random(len(own)))
