"""Highest-density regions of a mixture from its own integral, whatever is drawn of it, and lattices for their outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.gaussians import smallest_eigenvalue
from dlscore.density.mixture import Mixture
from dlscore.density.normal import normal_cdf
from dlscore.density.raster import Raster, rasterise

REACH = 4.5  # deviations from every Gaussian's mean to the edge of its support: 4e-5 of its mass is beyond
MISSED = 0.001  # so much of the mass a raster may miss
SPACING = 0.9  # of the smallest deviation: cells over which log p is nearly a parabola
FINE = 0.45  # of the smallest deviation: pixels so small that none with mass is beside one that a raster of 8 nats leaves out
CELLS = (64, 512)  # a side of the support's lattice
HEAVY = 2e-4  # of the mass: cells that hold more are divided, into about SAMPLES parts in all
SAMPLES = 8_000
OUTLINE = 400  # pixels in the smallest region, from which straight pieces between pixels keep its mass to 0.001
DOUBLINGS = 5
EDGE = 3  # cells beyond the world
CLIFF = 16.0  # nats below the largest value, where what is left does not show
MOAT = 4.0  # nats below the lowest outline, where what is there does not bend it
BINS = 4096  # of log p, in which mass is summed: 0.004 nats each


@dataclass(frozen=True, eq=False)
class LevelSets:
    """The smallest sets that hold `levels` of the mass: where log p is at least `thresholds` (L,) [nats / px²].

    raster: of a window that holds these sets, fine enough for straight pieces between its pixels.
    """

    levels: tuple[float, ...]
    thresholds: Array
    raster: Raster


def level_sets(mixture: Mixture, levels: Sequence[float], raster: Raster | None = None) -> LevelSets:
    """The highest-density regions (Hyndman 1996) of a mixture.

    levels: each above 0 and below 1. raster: one that is there already; it serves if it holds the mass and is fine enough.
    """
    fine_enough = raster is not None and raster.pixel <= FINE * _narrowest(mixture)
    if raster is None or not fine_enough or _mass_beyond(mixture, raster) > MISSED:
        corner, side, cells = support(mixture)
        raster = rasterise(mixture, corner, side, cells)
    raster = _thinned(raster, int(FINE * _narrowest(mixture) / raster.pixel))
    raster = _around(raster, raster.values >= raster.values.max() - np.float32(CLIFF))
    thresholds = _thresholds(raster, levels)
    return LevelSets(tuple(levels), thresholds, _for_outlines(raster, thresholds))


def grid_level_sets(log_density: Array, levels: Sequence[float]) -> LevelSets:
    """The same from log densities of the world's cells (N, N) [nats / px²], for a density without a mixture.

    Levels are of the whole mass: a region that the grid cannot hold has the threshold -inf.
    """
    raised, thresholds = _raised(log_density), grid_thresholds(log_density, levels)
    return LevelSets(tuple(levels), thresholds, outlines_of_cells(raised, thresholds))


def grid_thresholds(log_density: Array, levels: Sequence[float]) -> Array:
    """(L,) the thresholds of these sets alone, for who draws outlines elsewhere."""
    return _thresholds(_of_cells(_raised(log_density)), levels, whole=1.0)


def _raised(log_density: Array) -> Array:
    # Where a density is 0 its logarithm is no cliff for the parabola.
    raised: Array = np.maximum(log_density, log_density.max() - CLIFF)
    return raised


def outlines_of_cells(values: Array, thresholds: Array) -> Raster:
    """A lattice fine enough for the outlines of {values ≥ threshold}, from values (N, N) at the centres of the world's cells.

    It goes beyond the world, so that outlines reach its edge.
    """
    cells = _of_cells(values)
    around = np.arange(-EDGE, len(values) + EDGE).clip(0, len(values) - 1)
    wider = cells.values[around[:, None], around]
    crossed = thresholds[np.isfinite(thresholds)]
    raster = Raster(wider, cells.start - EDGE * cells.pixel, cells.pixel, None)
    return _for_outlines(raster, crossed) if len(crossed) else raster


def _of_cells(values: Array) -> Raster:
    cell = WORLD_SIZE / len(values)
    return Raster(np.asarray(values, dtype=np.float32), np.full(2, cell / 2), cell, None)


def support(mixture: Mixture) -> tuple[Array, float, int]:
    """Corner (2,) and side [px] of a square that holds the mass, and how many cells a side resolve its narrowest Gaussian."""
    pieces = mixture.pieces
    reach = REACH * np.sqrt(np.diagonal(pieces.covariance, axis1=1, axis2=2))
    low, high = (pieces.mean - reach).min(axis=0), (pieces.mean + reach).max(axis=0)
    if mixture.box is not None:
        low, high = np.clip(low, *mixture.box), np.clip(high, *mixture.box)
        at_end = (high == mixture.box[1]) & (low > mixture.box[0])
        side = float((high - low).max())
        low = np.where(at_end, high - side, low)  # the lattice ends where the box does
    else:
        side = float((high - low).max())
    return low, side, int(np.clip(np.ceil(side / (SPACING * _narrowest(mixture))), *CELLS))


def _thinned(raster: Raster, stride: int) -> Raster:
    # Every so many rows and columns, where pixels are smaller than log p needs.
    if stride < 2:
        return raster
    return Raster(raster.values[::stride, ::stride], raster.start, stride * raster.pixel, raster.box)


def _narrowest(mixture: Mixture) -> float:
    return float(np.sqrt(smallest_eigenvalue(mixture.pieces.covariance).min()))


def _mass_beyond(mixture: Mixture, raster: Raster) -> float:
    # A bound of the mass outside the raster: of all Gaussians, beyond each of its edges.
    pieces, weight = mixture.pieces, np.abs(mixture.pieces.weight).max(axis=1)
    deviation = np.sqrt(np.diagonal(pieces.covariance, axis1=1, axis2=2))
    low = raster.start - raster.pixel / 2
    high = low + raster.pixel * np.array(raster.values.shape[::-1])
    if mixture.box is not None:  # nothing is beyond the box
        low = np.where(low <= mixture.box[0], -np.inf, low)
        high = np.where(high >= mixture.box[1], np.inf, high)
    beyond = normal_cdf((low - pieces.mean) / deviation) + normal_cdf((pieces.mean - high) / deviation)
    return float(weight @ beyond.sum(axis=1))


def _masses(raster: Raster) -> Array:
    masses = np.exp(raster.values) * np.float32(raster.pixel**2)
    inside = raster.inside()
    return masses if inside is None else masses * inside


def _thresholds(raster: Raster, levels: Sequence[float], whole: float | None = None) -> Array:
    # Levels are shares of `whole`, by default of what the raster holds. Cells with a share of the mass that shows are
    # divided; in a cell, log p is a parabola each way.
    masses = _masses(raster).ravel()
    total = masses.sum(dtype=float)
    heavy = masses > HEAVY * total
    light = np.flatnonzero(~heavy & (masses > 0))
    chosen = np.flatnonzero(heavy)
    fine = min(max(math.ceil(math.sqrt(SAMPLES / max(1, len(chosen)))), 1), 32)
    values, mass = _divided(raster, chosen, fine)
    values = np.concatenate([values, raster.values.ravel()[light]])
    mass = np.concatenate([mass, masses[light]])
    # Sorted into bins of log p, a hundredth of the time of an order of all; in a bin, mass is even.
    peak = values.max() if len(values) else 0.0
    scale = BINS / (CLIFF + 1)
    place = np.minimum((peak - values) * np.float32(scale), BINS - 1).astype(np.intp)
    held = np.concatenate([[0.0], np.cumsum(np.bincount(place, mass, BINS))])
    wanted = np.asarray(levels) * (whole or held[-1])
    found: Array = np.where(wanted <= held[-1], peak - np.interp(wanted, held, np.arange(BINS + 1)) / scale, -np.inf)
    return found


def _divided(raster: Raster, chosen: Array, fine: int) -> tuple[Array, Array]:
    # Log densities and masses of the fine² parts of each chosen cell.
    height, width = raster.values.shape
    row, column = np.divmod(chosen, width)
    offset, parabolas = _parabolas(fine)
    around = np.arange(-1, 2)
    rows = (row[:, None] + around).clip(0, height - 1) * width
    columns = (column[:, None] + around).clip(0, width - 1)
    values = raster.values.ravel().take(rows[:, :, None] + columns[:, None, :])
    values = (values.reshape(-1, 9) @ parabolas).reshape(-1, fine, fine)
    mass = np.exp(values)
    mass *= np.float32((raster.pixel / fine) ** 2)
    if raster.box is not None:
        for axis, (cell, shape) in enumerate(((column, (-1, 1, fine)), (row, (-1, fine, 1)))):
            at = raster.start[axis] + raster.pixel * (cell[:, None] + offset)
            mass *= ((at >= raster.box[0, axis]) & (at <= raster.box[1, axis])).reshape(shape)
    return values.ravel(), mass.ravel()


@lru_cache(maxsize=32)
def _parabolas(fine: int) -> tuple[Array, Array]:
    # Places (fine,) of parts of a cell, in cells from its centre, and weights (9, fine²) of the 3 × 3 cells around it: a
    # parabola each way.
    offset = ((np.arange(fine) + 0.5) / fine - 0.5).astype(np.float32)
    parabola = np.stack([(offset**2 - offset) / 2, 1 - offset**2, (offset**2 + offset) / 2])
    return offset, np.kron(parabola, parabola)


def _for_outlines(raster: Raster, thresholds: Array) -> Raster:
    lowest, highest = min(thresholds.min(), raster.values.max()), thresholds.max()
    found = _around(raster, raster.values >= lowest)
    # Where a raster has nothing, the cubic would swing back above the threshold.
    found = replace(found, values=np.maximum(found.values, np.float32(lowest - MOAT)))
    for _ in range(DOUBLINGS):
        if np.count_nonzero(found.values >= highest) >= OUTLINE or min(found.values.shape) < 5:
            break
        found = found.doubled()
    return found


def _around(raster: Raster, seen: Array) -> Raster:
    # The part with the pixels that are `seen` (H, W), and three more on each side.
    rows, columns = (
        slice(max(0, int(where[0]) - 3), int(where[-1]) + 4)
        for where in (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    )
    return raster.cropped(rows, columns)
