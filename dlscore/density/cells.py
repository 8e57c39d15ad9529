"""A mixture on the grid: the log of its mean density over each cell.

Cells are integrated, not point-sampled, so that a mode narrower than a cell is neither missed nor counted twice. The log
density of every component at every cell's centre is one product of matrices. From there to the mean over the cell,
a component that is at least as wide as a cell takes a series, everywhere. A narrower one is integrated by Gauss-Legendre
quadrature, with points closer than its narrowest deviation, over the few cells that it is near to; over the others,
where an integral would underflow, the centre's value stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.gaussians import (
    BLOCK,
    CENTRE,
    LOWEST,
    ZERO,
    blocks,
    coefficients,
    log_sum,
    monomials,
    precision,
    smallest_eigenvalue,
)
from dlscore.density.mixture import Mixture
from dlscore.density.normal import quadrature
from dlscore.grid import Grid

NEAR = 6.0  # deviations within which narrow components are integrated: beyond, they are below e^-18 of their peak
DYNAMIC = 60.0  # nats below the largest component, where another one adds nothing
TILE = 12  # cells a side of a tile at least: many small ones take time themselves
POINTS = 1 << 17  # of the quadrature in memory at a time
THINNEST = 1e-6  # of its side: a cell of which less is in the box is outside
SMALLEST = 1e-30  # of a quadrature relative to the component's peak; below, the centre's value stands


@dataclass(frozen=True)
class Cells:
    """Cells, cut off at the box: centre and half side (n, 2) [px]."""

    centre: Array
    half: Array


@dataclass(frozen=True)
class Components:
    """J Gaussians, those of at least a cell's width first, `wide` in number.

    mean (J, 2); the precision's entries, the log density at the peak, and the quadrature's order, (J,) each; weight (J, 2).
    """

    mean: Array
    pxx: Array
    pxy: Array
    pyy: Array
    log_peak: Array
    order: Array
    weight: Array
    linear: Array  # (6, J) of the monomials
    wide: int

    def take(self, chosen: Array) -> Components:
        """Those with the ascending indices `chosen`."""
        names = ("mean", "pxx", "pxy", "pyy", "log_peak", "order", "weight")
        parts = {name: getattr(self, name)[chosen] for name in names}
        return Components(**parts, linear=self.linear[:, chosen], wide=int((chosen < self.wide).sum()))

    def extent(self, half: Array) -> Array:
        """(J,) deviations from the centre of a rectangle with half sides (2,) px to its farthest corner."""
        reach: Array = np.sqrt(half[0] ** 2 * self.pxx + 2 * half.prod() * np.abs(self.pxy) + half[1] ** 2 * self.pyy)
        return reach


def log_cell_density(mixture: Mixture, grid: Grid) -> Array:
    """(N, N) [y, x] log of the mean density over each cell [nats / px²]; ZERO for cells outside the box."""
    return log_window_density(mixture, (0.0, 0.0), WORLD_SIZE, grid.resolution)


def log_window_density(mixture: Mixture, corner: Sequence[float], side: float, resolution: int) -> Array:
    """The same for the `resolution`² cells of a square window: its upper left `corner` (x, y) and `side` [px], anywhere."""
    cell = side / resolution
    components = _components(mixture, cell)
    cells, index = _cells_in_box(mixture, np.asarray(corner, dtype=np.float64), cell, resolution)
    found, values = np.full(resolution**2, ZERO), np.empty(len(index))
    for tile in _tiles(index, resolution, len(components.mean)):
        values[tile] = _log_means(components, Cells(cells.centre[tile], cells.half[tile]))
    share = 4 * cells.half.prod(axis=1) / cell**2
    found[index] = np.maximum(values + np.log(share) + mixture.log_norm, ZERO)
    return found.reshape(resolution, resolution)


def _tiles(index: Array, resolution: int, components: int) -> list[Array]:
    # Places in `index` of the cells of each square tile of the grid.
    side = max(TILE, math.isqrt(BLOCK // components))
    row, column = np.divmod(index, resolution)
    tile = row // side * resolution + column // side
    order = np.argsort(tile, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(tile[order])) + 1) if len(order) else []


def _log_means(components: Components, cells: Cells) -> Array:
    # (n,) log of the floored sum's mean over cells that lie together
    near = components.take(_relevant(components, cells))
    values = np.empty(len(cells.centre))
    for part in blocks(len(values), len(near.mean)):
        some = Cells(cells.centre[part], cells.half[part])
        logs = monomials(some.centre) @ near.linear
        for places, means in _narrow_means(near, logs, some):
            logs.reshape(-1)[places] = means
        values[part] = log_sum(logs, near.weight, _wide_factors(near, some))
    return values


def _relevant(components: Components, cells: Cells) -> Array:
    # The components that may be within DYNAMIC nats of the largest one, somewhere on the cells.
    low, high = (cells.centre - cells.half).min(axis=0), (cells.centre + cells.half).max(axis=0)
    x, y = ((low + high) / 2 - components.mean).T
    away = np.sqrt(components.pxx * x**2 + 2 * components.pxy * x * y + components.pyy * y**2)
    extent = components.extent((high - low) / 2)
    least = (components.log_peak - 0.5 * (away + extent) ** 2).max()
    return np.flatnonzero(components.log_peak - 0.5 * np.maximum(away - extent, 0) ** 2 > least - DYNAMIC)


def _cells_in_box(mixture: Mixture, corner: Array, cell: float, resolution: int) -> tuple[Cells, Array]:
    # The cells that are at least partly in the box, and their places in the flattened window.
    row, column = np.divmod(np.arange(resolution**2), resolution)
    low = corner + cell * np.stack([column, row], axis=-1)
    high = low + cell
    if mixture.box is not None:
        low, high = (np.clip(corner, *mixture.box) for corner in (low, high))
    index = np.flatnonzero((high - low).min(axis=1) > THINNEST * cell)
    return Cells((low + high)[index] / 2, (high - low)[index] / 2), index


def _components(mixture: Mixture, cell: float) -> Components:
    pieces = mixture.pieces
    deviation = np.sqrt(smallest_eigenvalue(pieces.covariance))
    first = np.argsort(deviation < cell, kind="stable")  # the wide ones
    mean, covariance, deviation = pieces.mean[first], pieces.covariance[first], deviation[first]
    pxx, pxy, pyy, log_determinant = precision(covariance)
    order = 1 + np.ceil(1.25 * cell / deviation).astype(int)
    log_peak = -0.5 * log_determinant - np.log(2 * np.pi)
    weight = pieces.weight[first].astype(np.float32)
    linear = coefficients(mean, covariance)
    return Components(mean, pxx, pxy, pyy, log_peak, order, weight, linear, int((deviation >= cell).sum()))


def _wide_factors(components: Components, cells: Cells) -> Array | None:
    """(n, wide) float32: mean over the cell, relative to its centre.

    The Taylor series of the mean to fourth order in the sides h, k: 1 + h²/24 f_xx + h⁴/1920 f_xxxx + … + h²k²/576 f_xxyy,
    with the derivatives of a Gaussian f relative to f. Its error for a deviation of one cell is below 5e-5.
    """
    if not components.wide:
        return None
    pxx, pxy, pyy = (each[: components.wide] for each in (components.pxx, components.pxy, components.pyy))
    mx, my = (components.mean[: components.wide] - CENTRE).T
    place = np.concatenate([cells.centre - CENTRE, np.ones((len(cells.centre), 1))], axis=1).astype(np.float32)
    gx = place @ np.stack([-pxx, -pxy, pxx * mx + pxy * my]).astype(np.float32)  # f_x / f
    gy = place @ np.stack([-pxy, -pyy, pxy * mx + pyy * my]).astype(np.float32)
    sides = (2 * cells.half) ** 2  # h², k²
    factors = gx * gy
    factors *= (-4 * pxy).astype(np.float32)
    factors += (2 * pxy**2).astype(np.float32)
    factors *= (sides.prod(axis=1) / 576).astype(np.float32)[:, None]
    factors += _along(gx, pxx, sides[:, 0]) * _along(gy, pyy, sides[:, 1])
    return factors


def _along(gradient: Array, p: Array, side: Array) -> Array:
    # (n, K) 1 + h²/24 (g² - p) + h⁴/1920 (g⁴ - 6 p g² + 3 p²), by Horner in g²; overwrites the gradient
    terms = np.stack([np.ones_like(side), side / 24, side**2 / 1920], axis=-1).astype(np.float32)
    one, none = np.ones_like(p), np.zeros_like(p)
    squared = np.square(gradient, out=gradient)
    result: Array = squared * terms[:, 2:]
    result += terms @ np.stack([none, one, -6 * p]).astype(np.float32)
    result *= squared
    result += terms @ np.stack([one, -p, 3 * p**2]).astype(np.float32)
    return result


def _narrow_means(components: Components, logs: Array, cells: Cells) -> Iterator[tuple[Array, Array]]:
    # Places in the flattened `logs` where a narrow component is near a cell, and the log of its mean density there.
    n, wide = logs.shape[1], components.wide
    if wide == n:
        return
    reach = NEAR + components.extent(cells.half.max(axis=0))[wide:]
    cell, component = np.divmod(np.flatnonzero(logs[:, wide:] > components.log_peak[wide:] - 0.5 * reach**2), n - wide)
    component += wide
    separable = components.pxy[component] == 0
    orders = 2 * components.order[component] + separable
    for key in np.unique(orders):
        order = key // 2
        chosen = np.flatnonzero(orders == key)
        size = max(1, POINTS // order**2)
        for first in range(0, len(chosen), size):
            i, k = cell[chosen[first : first + size]], component[chosen[first : first + size]]
            mean = _cell_means(components, k, cells, i, int(order))
            enough = mean > SMALLEST
            yield (i * n + k)[enough], np.log(mean[enough]) + components.log_peak[k[enough]]


def _cell_means(components: Components, k: Array, cells: Cells, i: Array, order: int) -> Array:
    """(P,) mean density of components `k` over cells `i`, relative to their peaks, by quadrature with order² points."""
    away, half = (cells.centre[i] - components.mean[k]).astype(np.float32), cells.half[i].astype(np.float32)
    nodes, weight = (each.astype(np.float32) for each in quadrature(order))
    dx, dy = (away[:, axis] + nodes[:, None] * half[:, axis] for axis in range(2))  # (order, P)
    pxx, pxy, pyy = (each[k].astype(np.float32) for each in (components.pxx, components.pxy, components.pyy))
    along_x, along_y = -0.5 * pxx * dx**2, -0.5 * pyy * dy**2
    if not pxy.any():  # as on the edges of a box
        x, y = (weight / 2 @ np.exp(np.maximum(each, LOWEST)) for each in (along_x, along_y))
        return np.asarray(x * y)
    power = (-pxy * dy)[:, None] * dx
    power += along_x
    power += along_y[:, None]
    np.exp(np.maximum(power, LOWEST, out=power), out=power)
    return np.asarray(np.outer(weight, weight).ravel() / 4 @ power.reshape(order**2, -1))
