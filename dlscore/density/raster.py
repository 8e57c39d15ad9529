"""The log density of a mixture at the pixels of a window, fast enough for every frame of a video.

A Gaussian needs few samples: at a spacing of at most `SPACING` of its smallest deviation, what lies between follows from
them to 1e-5 of its peak. So each Gaussian is added to the coarsest of a pyramid of lattices that is fine enough for it,
row by row and no farther than its tail matters, and the lattices are summed from the coarsest to the finest, doubling the
resolution by one symmetric filter. This is the multilevel summation of particles on meshes (Brandt & Lubrecht 1990). The
last doubling works on the logarithm, where cubic interpolation is exact for a Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.gaussians import FLOOR, ZERO, smallest_eigenvalue
from dlscore.density.mixture import Mixture
from dlscore.density.refining import GUARD, SPACING, doubled, refined

LEVELS = 12
DEPTH = 10.0  # nats
LOST = 0.002  # of the mass: at most that is beyond the samples
BLOCK = 8  # samples: lengths of rows are rounded up to multiples of it
NOTHING = np.float32(-85)  # log p where no tail reaches
HALF_LATTICE = 0.95  # of the smallest deviation: up to this spacing the last doubling works on the logarithm


@dataclass(frozen=True, eq=False)
class Raster:
    """log p [nats / px²] at the centres of square pixels; `values` (H, W) [y, x] are not cut off at the mixture's box.

    start (2,): the centre (x, y) of the first pixel [px of the world]; pixel: the side of one; box as in `Mixture`.
    """

    values: Array
    start: Array
    pixel: float
    box: Array | None

    def inside(self) -> Array | None:
        """(H, W) bool: which pixels' centres are in the box; None if there is no box."""
        if self.box is None:
            return None
        x, y = (
            (self.start[k] + self.pixel * np.arange(self.values.shape[1 - k]) >= self.box[0, k])
            & (self.start[k] + self.pixel * np.arange(self.values.shape[1 - k]) <= self.box[1, k])
            for k in range(2)
        )
        within: Array = y[:, None] & x
        return within

    def log_density(self) -> Array:
        """(H, W) float32, ZERO outside the box."""
        inside = self.inside()
        return self.values if inside is None or inside.all() else np.where(inside, self.values, np.float32(ZERO))

    def doubled(self) -> Raster:
        """The same at twice the resolution, by cubic interpolation, without the outermost pixel on each side."""
        values = np.ascontiguousarray(doubled(doubled(self.values).T).T[2:-2, 2:-2])
        return Raster(values, self.start + self.pixel, self.pixel / 2, self.box)

    def cropped(self, rows: slice, columns: slice) -> Raster:
        """A part of it, as a view."""
        return Raster(self.values[rows, columns], self.start + self.pixel * np.array([columns.start, rows.start]),
                      self.pixel, self.box)  # fmt: skip


def rasterise(
    mixture: Mixture, corner: Sequence[float] | Array, side: float, resolution: int, depth: float = DEPTH
) -> Raster:
    """The log density at the centres of a window's `resolution`² pixels.

    corner, side: of the square window, px of the world, anywhere. depth: so far below the mixture's peak [nats] values are
    right; farther down they are too low.
    """
    pixel = side / resolution
    start = np.asarray(corner, dtype=float) + pixel / 2
    narrow = float(np.sqrt(smallest_eigenvalue(mixture.pieces.covariance).min()))
    if 2 * pixel <= HALF_LATTICE * narrow and resolution >= 8:
        # A lattice of every second pixel, with a sample beyond each edge: its doubling has the first pixel at 2.
        values = _log_lattice(mixture, start - 2 * pixel, 2 * pixel, resolution // 2 + 4, depth)
        # No cliff where the tails end, over which the cubic would swing; below it there is nothing again.
        floor = values.max() - np.float32(depth + 1)
        values = doubled(doubled(np.maximum(values, floor)).T).T[2 : resolution + 2, 2 : resolution + 2]
        values[values < floor + np.float32(0.25)] = NOTHING
    else:
        values = _log_lattice(mixture, start, pixel, resolution, depth)
    return Raster(values, start, pixel, mixture.box)


def _log_lattice(mixture: Mixture, start: Array, spacing: float, count: int, depth: float) -> Array:
    # (count, count) float32 log density at start + spacing · (column, row)
    terms = _terms(mixture, depth)
    level = np.floor(np.log2(SPACING * terms.deviation / spacing))
    level = np.clip(level, 0, min(LEVELS, int(np.log2(count)))).astype(int)
    total: Array | None = None
    for each in range(int(level.max(initial=0)), -1, -1):
        last = -(-(count - 1) // 2**each)  # the index of the last sample that is needed
        step, samples = spacing * 2**each, last + 2 * GUARD + 1
        added = _added(terms.take(level == each), start - GUARD * step, step, samples)
        if total is not None:
            added += refined(total, samples)
        total = added
    assert total is not None
    signed, base = total[:, GUARD : GUARD + count, GUARD : GUARD + count]
    density = np.maximum(signed, np.float32(FLOOR) * base)
    np.maximum(density, np.exp(NOTHING), out=density)
    logs: Array = np.log(density, out=density)
    logs += np.float32(mixture.log_norm)
    return logs


@dataclass(frozen=True)
class _Terms:
    """J Gaussians with one weight each, of the signed sum (channel 0) or of the base (1)."""

    mean: Array
    xx: Array
    xy: Array
    yy: Array
    weight: Array
    channel: Array
    deviation: Array  # the smallest
    reach: Array  # in deviations

    def take(self, chosen: Array) -> _Terms:
        return _Terms(*(getattr(self, each.name)[chosen] for each in fields(self)))


def _terms(mixture: Mixture, depth: float) -> _Terms:
    pieces = mixture.pieces
    index, channel = np.nonzero(pieces.weight)
    covariance, weight = pieces.covariance[index], pieces.weight[index, channel]
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    # log of what it adds at most, less what only the floor would show of it.
    least = np.where(channel == 1, np.log(FLOOR), 0.0)
    tallest = np.log(np.abs(weight)) + least - 0.5 * np.log(xx * yy - xy**2) - np.log(2 * np.pi)
    # All that is left out has no common sign or place, so it adds up as errors do.
    lowest = mixture.near_peak - mixture.log_norm - depth - 0.5 * np.log(len(weight))
    # Beyond so many nats is that part of its mass.
    enough = np.where(channel == 0, np.log(np.maximum(np.abs(weight) * len(mixture.weight) / LOST, 1)), 0.0)
    reach = np.sqrt(2 * np.maximum(tallest - lowest, enough))
    found = _Terms(pieces.mean[index], xx, xy, yy, weight, channel, np.sqrt(smallest_eigenvalue(covariance)), reach)
    return found.take(reach > 0)


def _added(terms: _Terms, start: Array, step: float, count: int) -> Array:
    """(2, count, count) float32: the sums of both channels on a lattice from `start` (x, y) px.

    A Gaussian's rows are those within its reach; a row goes at least as far as the ellipse does. Rows of about the same
    length are computed together.
    """
    high_y = terms.reach * np.sqrt(terms.yy)
    low = np.maximum(np.ceil((terms.mean[:, 1] - high_y - start[1]) / step), 0).astype(int)
    high = np.minimum(np.floor((terms.mean[:, 1] + high_y - start[1]) / step), count - 1).astype(int)
    rows = np.maximum(high - low + 1, 0)
    of = np.repeat(np.arange(len(rows)), rows)  # each row's Gaussian
    row = np.arange(len(of)) + (low - np.cumsum(rows) + rows)[of]
    away = start[1] + step * row - terms.mean[of, 1]
    # Along x, given y: mean m_x + xy/yy · away, variance xx - xy²/yy.
    variance = terms.xx - terms.xy**2 / terms.yy
    below = away**2 / terms.yy[of]  # twice the drop [nats] from the peak to the row
    half = np.sqrt(np.maximum(terms.reach[of] ** 2 - below, 0) * variance[of]) / step
    middle = (terms.mean[of, 0] + (terms.xy / terms.yy)[of] * away - start[0]) / step
    first = np.maximum(np.ceil(middle - half), 0).astype(int)
    length = np.minimum(np.floor(middle + half), count - 1).astype(int) - first + 1
    height = (terms.weight / (2 * np.pi * np.sqrt(terms.yy * variance)))[of] * np.exp(-0.5 * below)
    line = (terms.channel[of] * count + row) * count
    return _summed(_Rows(line, first, length, middle, (-0.5 * step**2 / variance)[of], height), count)


@dataclass(frozen=True)
class _Rows:
    """R rows of samples height · exp(bend · (column - middle)²), `length` of them from the column `first`, in a `line`."""

    line: Array
    first: Array
    length: Array
    middle: Array
    bend: Array
    height: Array


def _summed(rows: _Rows, count: int) -> Array:
    # (2, count, count) float32. Rows get some more samples, so that a whole block of them has one length.
    blocks = np.where(rows.length > 0, -(-rows.length // BLOCK), 0).astype(np.int16)
    order = np.argsort(blocks, kind="stable")
    ends = np.searchsorted(blocks[order], np.arange(1, blocks.max(initial=0) + 2))
    wide = np.minimum(BLOCK * np.arange(1, len(ends)), count)
    sizes = np.diff(ends) * wide
    place, value = np.empty(sizes.sum(), dtype=np.intp), np.empty(sizes.sum(), dtype=np.float32)
    done = 0
    for width, size, low, high in zip(wide, sizes, ends[:-1], ends[1:], strict=True):
        chosen, part = order[low:high], slice(done, done + size)
        first = np.minimum(rows.first[chosen], count - width)
        column = np.arange(width)
        np.add((rows.line[chosen] + first)[:, None], column, out=place[part].reshape(-1, width))
        values = value[part].reshape(-1, width)
        np.subtract(column.astype(np.float32), (rows.middle[chosen] - first).astype(np.float32)[:, None], out=values)
        values *= values
        values *= rows.bend[chosen].astype(np.float32)[:, None]
        np.exp(values, out=values)
        values *= rows.height[chosen].astype(np.float32)[:, None]
        done += size
    return np.bincount(place, value, 2 * count**2).astype(np.float32).reshape(2, count, count)
