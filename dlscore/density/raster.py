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
from functools import lru_cache

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.gaussians import FLOOR, ZERO, smallest_eigenvalue
from dlscore.density.mixture import Mixture

SPACING = 0.55  # of its smallest deviation: the coarsest lattice for a Gaussian
TAPS = 4  # samples on each side of a new one
GUARD = 2 * TAPS - 1  # samples beyond each edge of the window that these reach, at every level
LEVELS = 12
DEPTH = 10.0  # nats
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
        values = np.ascontiguousarray(_doubled(_doubled(self.values).T).T[2:-2, 2:-2])
        return Raster(values, self.start + self.pixel, self.pixel / 2, self.box)

    def cropped(self, rows: slice, columns: slice) -> Raster:
        """A part of it, as a view."""
        return Raster(self.values[rows, columns], self.start + self.pixel * np.array([columns.start, rows.start]),
                      self.pixel, self.box)  # fmt: skip


def rasterise(
    mixture: Mixture, corner: Sequence[float] | Array, side: float, resolution: int, depth: float = DEPTH
) -> Raster:
    """The log density at the centres of a window's `resolution`² pixels.

    corner, side: of the square window, px of the world, anywhere. depth: so far below its own peak each Gaussian is
    followed [nats]. Values are right from the mixture's peak down to about this depth; farther down they are too low.
    """
    pixel = side / resolution
    start = np.asarray(corner, dtype=float) + pixel / 2
    narrow = float(np.sqrt(smallest_eigenvalue(mixture.pieces.covariance).min()))
    if 2 * pixel <= HALF_LATTICE * narrow and resolution >= 8:
        # A lattice of every second pixel, with a sample beyond each edge: its doubling has the first pixel at 2.
        values = _log_lattice(mixture, start - 2 * pixel, 2 * pixel, resolution // 2 + 4, depth)
        # No cliff where the tails end, over which the cubic would swing; below it there is nothing again.
        floor = values.max() - np.float32(depth + 1)
        values = _doubled(_doubled(np.maximum(values, floor)).T).T[2 : resolution + 2, 2 : resolution + 2]
        values[values < floor + np.float32(0.25)] = NOTHING
    else:
        values = _log_lattice(mixture, start, pixel, resolution, depth)
    return Raster(values, start, pixel, mixture.box)


def _doubled(values: Array) -> Array:
    # (2n, m) from (n, m): a new row after each but the last two, by the cubic through four; the last rows repeat.
    out = np.empty((2 * len(values), values.shape[1]), dtype=values.dtype)
    out[::2] = values
    middle = values[1:-2] + values[2:-1]
    middle *= np.float32(9 / 16)
    middle -= np.float32(1 / 16) * (values[:-3] + values[3:])
    out[3:-3:2] = middle
    out[1], out[-3:] = values[0], values[-1]
    return out


def _log_lattice(mixture: Mixture, start: Array, spacing: float, count: int, depth: float) -> Array:
    # (count, count) float32 log density at start + spacing · (column, row)
    terms = _terms(mixture, depth)
    level = np.floor(np.log2(SPACING * terms.deviation / spacing))
    level = np.clip(level, 0, min(LEVELS, int(np.log2(count)))).astype(int)
    total: Array | None = None
    for each in range(int(level.max(initial=0)), -1, -1):
        last = -(-(count - 1) // 2**each)  # the index of the last sample that is needed
        if total is not None:
            double = _filter(last)
            total = double @ total @ double.T
        step = spacing * 2**each
        added = _added(terms.take(level == each), start - GUARD * step, step, last + 2 * GUARD + 1)
        total = added if total is None else total + added
    assert total is not None
    signed, base = total[:, GUARD : GUARD + count, GUARD : GUARD + count]
    density = np.maximum(np.maximum(signed, np.float32(FLOOR) * base), np.exp(NOTHING))
    logs: Array = np.log(density) + np.float32(mixture.log_norm)
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
    # What it adds at most, less what only the floor would show of it; all together may add as many times that.
    least = np.where(channel == 1, np.log(FLOOR), 0.0)
    peak = np.log(np.abs(weight)) + least - 0.5 * np.log(xx * yy - xy**2)
    own = np.minimum(peak - peak.max() + np.log(len(weight)), least) + depth
    reach = np.sqrt(2 * np.maximum(own, 0))
    found = _Terms(pieces.mean[index], xx, xy, yy, weight, channel, np.sqrt(smallest_eigenvalue(covariance)), reach)
    return found.take(reach > 0)


def _added(terms: _Terms, start: Array, step: float, count: int) -> Array:
    """(2, count, count) float32: the sums of both channels on a lattice from `start` (x, y) px.

    A Gaussian's rows are those within its reach; a row goes as far as the ellipse does.
    """
    high_y = terms.reach * np.sqrt(terms.yy)
    low = np.maximum(np.ceil((terms.mean[:, 1] - high_y - start[1]) / step), 0).astype(int)
    high = np.minimum(np.floor((terms.mean[:, 1] + high_y - start[1]) / step), count - 1).astype(int)
    rows = np.maximum(high - low + 1, 0)
    of = np.repeat(np.arange(len(rows)), rows)  # each row's Gaussian
    row = low[of] + _ramp(rows)
    away = start[1] + step * row - terms.mean[of, 1]
    # Along x, given y: mean m_x + xy/yy · away, variance xx - xy²/yy.
    slope, variance = terms.xy / terms.yy, terms.xx - terms.xy**2 / terms.yy
    below = away**2 / terms.yy[of]  # twice the drop [nats] from the peak to the row
    half = np.sqrt(np.maximum(terms.reach[of] ** 2 - below, 0) * variance[of]) / step
    middle = (terms.mean[of, 0] + slope[of] * away - start[0]) / step
    first = np.maximum(np.ceil(middle - half), 0).astype(int)
    length = np.maximum(np.minimum(np.floor(middle + half), count - 1).astype(int) - first + 1, 0)
    ramp = _ramp(length)
    values = ramp.astype(np.float32)
    values -= np.repeat((middle - first).astype(np.float32), length)
    values *= values
    values *= np.repeat((-0.5 * step**2 / variance)[of].astype(np.float32), length)
    values -= np.repeat((0.5 * below).astype(np.float32), length)
    np.exp(values, out=values)
    height = terms.weight / (2 * np.pi * np.sqrt(terms.yy * variance))
    values *= np.repeat(height[of].astype(np.float32), length)
    ramp += np.repeat((terms.channel[of] * count + row) * count + first, length)
    summed: Array = np.bincount(ramp, values, 2 * count**2).astype(np.float32)
    return summed.reshape(2, count, count)


def _ramp(length: Array) -> Array:
    # 0 … n-1 for each length n, one after the other
    ramp: Array = np.arange(length.sum())
    ramp -= np.repeat(np.cumsum(length) - length, length)
    return ramp


@lru_cache(maxsize=64)
def _filter(last: int) -> Array:
    """(last + 2 GUARD + 1, half as many) float32: from samples at even places to those at all places."""
    weights = _half_band()
    places, below = last + 2 * GUARD + 1, -(-last // 2) + 2 * GUARD + 1
    matrix = np.zeros((places, below), dtype=np.float32)
    for place in range(places):
        index = place - GUARD
        if index % 2 == 0:
            matrix[place, index // 2 + GUARD] = 1
        else:
            left = (index - 1) // 2 + GUARD
            matrix[place, left - TAPS + 1 : left + TAPS + 1] = np.concatenate([weights[::-1], weights])
    return matrix


@lru_cache(maxsize=1)
def _half_band() -> Array:
    """(TAPS,) the weights of the samples ½, 1½, … from a new one: least squares over Gaussians as wide as a lattice has them."""
    places = np.arange(TAPS) + 0.5
    deviation = np.geomspace(1 / SPACING, 40 / SPACING, 60)[:, None, None]
    shift = np.linspace(-6, 6, 121)[:, None] * deviation

    def gaussian(x: Array) -> Array:
        values: Array = np.exp(-0.5 * (x / deviation) ** 2)
        return values

    pairs = gaussian(shift + places) + gaussian(shift - places)
    target = gaussian(shift)
    # Constants must stay constants: the last weight follows from the others.
    reduced, known = pairs[..., :-1] - pairs[..., -1:], target[..., 0] - pairs[..., -1] / 2
    found = np.linalg.lstsq(reduced.reshape(-1, TAPS - 1), known.ravel(), rcond=None)[0]
    return np.append(found, 0.5 - found.sum())
