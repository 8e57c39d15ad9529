"""Modes of a density on the grid: how many, where, how much of the mass, and how far above the saddle to a higher one.

0-dimensional persistence of log p: cells are visited from the densest down. A cell joins the basin of its densest neighbour;
where two basins meet, the lower peak's prominence is its height over that saddle. A peak below PROMINENCE is part of the
higher basin (ToMATo: Chazal, Guibas, Oudot & Skraba 2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.grid import Grid

PROMINENCE = 0.7  # nats: with it, the number of modes of known policies is right most often
LEAST_MASS = 0.05  # of a mode's basin
REGION = 0.9999  # of the mass on the grid: cells beyond it are left out


@dataclass(frozen=True)
class Mode:
    """x, y [px] of the peak; mass of its basin; prominence [nats] over the saddle to a denser mode.

    Where there is no saddle (the densest mode, and basins that do not meet within REGION): over the edge of REGION.
    """

    x: float
    y: float
    mass: float
    prominence: float


def find_modes(log_density: Array, grid: Grid) -> list[Mode]:
    """The modes of log densities (N, N) [y, x] [nats / px²], those of the largest mass first."""
    values = np.full((grid.resolution + 2, grid.resolution + 2), -np.inf)
    values[1:-1, 1:-1] = log_density
    below = (values - values.max()).ravel()
    # Of less than this, all cells together have less than a tenth of 1 - REGION.
    dense = np.flatnonzero(below > np.log(0.1 * (1 - REGION) / below.size))
    order = dense[np.argsort(-below[dense], kind="stable")]
    mass = np.exp(below[order])
    total = np.cumsum(mass)
    kept = int(np.searchsorted(total, REGION * total[-1])) + 1
    order, shares = order[:kept], mass[:kept] / total[-1]
    share, prominence = _shares(values.ravel(), order, shares, values.shape[1])
    found = [
        Mode(*_place(values, peak, grid), share[peak], prominence[peak]) for peak in share if share[peak] >= LEAST_MASS
    ]
    return sorted(found, key=lambda mode: -mode.mass)


def _shares(values: Array, order: Array, shares: Array, width: int) -> tuple[dict[int, float], dict[int, float]]:
    # The mass and the prominence of each peak. Most densities have one, which needs no loop over cells.
    around = np.array([dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx])
    rank = np.full(len(values), len(values))
    rank[order] = np.arange(len(order))
    peaks = order[(rank[order[:, None] + around] > rank[order][:, None]).all(axis=1)].tolist()
    if len(peaks) == 1:
        return {peaks[0]: float(shares.sum())}, {peaks[0]: float(values[order[0]] - values[order[-1]])}
    root, prominence = _basins(values, order, around.tolist())
    share = {peak: 0.0 for peak in prominence}
    for cell, weight in zip(order.tolist(), shares.tolist(), strict=True):
        share[_find(root, cell)] += weight
    return share, prominence


def _basins(values: Array, order: Array, around: list[int]) -> tuple[dict[int, int], dict[int, float]]:
    # Parents of a forest of cells, whose roots are the peaks, and the prominence of each root.
    height = dict(zip(order.tolist(), values[order].tolist(), strict=True))
    root: dict[int, int] = {}
    saddles: dict[int, float] = {}
    for cell in height:
        near = sorted(
            {_find(root, cell + step) for step in around if cell + step in root}, key=lambda peak: -height[peak]
        )
        root[cell] = near[0] if near else cell
        for peak in near[1:]:
            if height[peak] - height[cell] < PROMINENCE:
                root[peak] = near[0]
            else:
                saddles.setdefault(peak, height[cell])
    lowest = float(values[order[-1]])
    peaks = {cell for cell, parent in root.items() if cell == parent}
    return root, {peak: height[peak] - saddles.get(peak, lowest) for peak in peaks}


def _find(root: dict[int, int], cell: int) -> int:
    while root[cell] != cell:
        root[cell] = root[root[cell]]
        cell = root[cell]
    return cell


def _place(values: Array, peak: int, grid: Grid) -> tuple[float, float]:
    # The vertex of the parabola through the peak and its two neighbours, along each axis: a Gaussian's is exact.
    row, column = divmod(peak, grid.resolution + 2)
    across, down = values[row, column - 1 : column + 2].tolist(), values[row - 1 : row + 2, column].tolist()
    place = []
    for (below, value, above), cell in ((across, column - 1), (down, row - 1)):
        curvature = below - 2 * value + above
        away = 0.5 * (below - above) / curvature if -math.inf < curvature < 0 else 0.0
        place.append(float(grid.centres[cell]) + min(max(away, -0.5), 0.5) * grid.cell)
    return place[0], place[1]
