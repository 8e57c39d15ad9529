"""Scores at the pixels of a window, and their colours: opaque where the estimate resolves them, fading below.

A density is drawn from its mixture where the cache has one, at the resolution of the picture; else scores are interpolated
between the cells of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from dlrender.colors import COLOURS, Norm, color_table
from dlrender.window import Window
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE

FADE = 1.5  # nats, over which colours fade into what lies under them
WHOLE_ABOVE = 1.0  # nats above the lowest value that is resolved, where they are as opaque as they get
STRENGTH = 0.88  # opacity over the environment, which stays visible
# Of every second byte of RGBA as one number, whose lowest byte is the first: little-endian, as all machines are that torch has.
PAIR, HALF, OPAQUE = (np.uint32(each) for each in (0x00FF00FF, 0x00800080, 0x00FF0000))
# Of t³, t², t and 1 (Keys 1981, a = -1/2).
CUBIC = np.array([[-1, 2, -1, 0], [3, -5, 0, 2], [-3, 4, 1, 0], [1, -1, 0, 0]]) / 2
HEATS = ("over", "opaque", "off")  # colours over the environment, alone, or none


@dataclass(frozen=True)
class Shades:
    """Colours of values: `table` (1024, 4) uint8 RGBA for values from `low` to `high`, evenly."""

    low: float
    high: float
    table: Array

    def indices(self, values: Array) -> Array:
        """(H, W) int32 rows of the table for values (H, W); what is before the first or after the last stands for it."""
        scale = (len(self.table) - 1) / max(self.high - self.low, 1e-9)
        scaled = values * np.float32(scale)
        scaled += np.float32(0.5 - self.low * scale)
        if scale > 1e3:  # else they are integers of 32 bits, which `image` clips as it looks them up
            np.clip(scaled, 0, len(self.table) - 1, out=scaled)
        return scaled.astype(np.int32)

    def image(self, values: Array) -> Array:
        """(H, W, 4) uint8 RGBA of values (H, W)."""
        packed: Array = np.take(self.table.view(np.uint32)[:, 0], self.indices(values), mode="clip")
        return packed.view(np.uint8).reshape(*values.shape, 4)


def make_shades(norm: Norm, colormap: str, shown: float | None, over: bool) -> Shades:
    """The colours of a norm's prepared values.

    shown: the lowest value that the estimate resolves; below, colours fade within FADE into what lies under them, or with
    `over` false into the colour of the lowest end. None: nothing fades, and nothing is transparent.
    """
    colours = color_table(colormap)
    low, high = norm.low, norm.high
    if shown is None:
        alpha: Array = np.ones(COLOURS)
    else:
        low, high = min(shown - FADE, high - FADE), max(high, shown)
        values = np.linspace(low, high, COLOURS)
        share = np.clip((values - (shown - FADE)) / (FADE + WHOLE_ABOVE), 0, 1)
        alpha = share * share * (3 - 2 * share)  # without a kink at either end
    values = np.linspace(low, high, COLOURS)
    rgb = colours[(norm.unit(values) * (COLOURS - 1) + 0.5).astype(int)].astype(float)
    if over and shown is not None:
        alpha = STRENGTH * alpha
    else:
        rgb, alpha = colours[0] + (rgb - colours[0]) * alpha[:, None], np.ones(COLOURS)
    return Shades(low, high, (np.column_stack([rgb, 255 * alpha]) + 0.5).astype(np.uint8))


def draw_heat(pixels: Array, ground: Array, shades: Shades, values: Array) -> None:
    """Blend the colours of values (H, W) over `pixels` (H, W) uint32, opaque RGBA, most of which are `ground` (1,) alone.

    Those take a table that is blended once. Only the box outside which all is clear is looked up.
    """
    if not shades.table[0, 3]:
        seen = values > shades.low
        rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        pixels, values = pixels[box], values[box]
    indices, colours, other = shades.indices(values), shades.table.view(np.uint32)[:, 0], pixels != ground
    blended = np.take(_blended(colours, np.repeat(ground, len(colours))), indices, mode="clip")
    blended[other] = _blended(np.take(colours, indices[other], mode="clip"), pixels[other])
    pixels[:] = blended


def _blended(colours: Array, under: Array) -> Array:
    """(K,) uint32 opaque RGBA: colours (K,) uint32 over opaque ones (K,). Two of the four bytes are computed at once."""
    alpha = colours >> 24
    left = 255 - alpha
    outer = _mixed((colours & PAIR) * alpha, (under & PAIR) * left)
    inner = _mixed(((colours >> 8) & PAIR | OPAQUE) * alpha, ((under >> 8) & PAIR) * left)
    inner <<= 8
    inner |= outer
    return inner


def _mixed(total: Array, other: Array) -> Array:
    # The sum of two pairs of products of bytes, which no carry leaves, divided by 255 and rounded. Overwrites both.
    total += other
    total += HALF
    np.right_shift(total, 8, out=other)
    other &= PAIR
    total += other
    total >>= 8
    total &= PAIR
    return total


def sample(values: Array, window: Window, pixels: int, floor: float | None = None) -> Array:
    """(P, P) float32 at the pixels of a window, from values (N, N) at the centres of the world's cells.

    By cubic convolution (Keys 1981), which goes through the cells; where cells are smaller than pixels, each pixel averages
    them. floor: lower values are raised to it first, so that no cliff makes the cubic swing.
    """
    values = np.asarray(values, dtype=np.float32)
    if floor is not None:
        values = np.maximum(values, np.float32(floor))
    cell = WORLD_SIZE / len(values)
    pixel = window.side / pixels
    if pixel > cell:
        left, right, bottom, top = (each / cell for each in window.extent)
        if min(left, top) >= 0 and max(right, bottom) <= len(values):
            box = (left, top, right, bottom)
            return np.asarray(Image.fromarray(values).resize((pixels, pixels), Image.Resampling.BILINEAR, box=box))
    (rows, y), (columns, x) = (_weights(start, window.side, pixels, len(values)) for start in (window.top, window.left))
    sampled: Array = rows @ values[y, x] @ columns.T
    return sampled


@lru_cache(maxsize=8)
def _weights(start: float, side: float, pixels: int, cells: int) -> tuple[Array, slice]:
    """(P, K) float32: the weights of K cells for P pixels from `start` px, and which K of the N cells these are.

    The outermost cells continue outwards.
    """
    where = (start + (np.arange(pixels) + 0.5) * side / pixels) * cells / WORLD_SIZE - 0.5
    before = np.floor(where).astype(int)
    powers = np.ones((4, pixels))
    powers[2] = where - before
    np.multiply(powers[2], powers[2], out=powers[1])
    np.multiply(powers[1], powers[2], out=powers[0])
    low, high = before[0] - 1, before[-1] + 2
    matrix = np.zeros((pixels, high - low + 1), dtype=np.float32)
    place = np.arange(pixels) * matrix.shape[1] + before - before[0]
    matrix.reshape(-1)[place + np.arange(4)[:, None]] = CUBIC @ powers
    first, last = np.clip((low, high), 0, cells - 1)
    if (first, last) != (low, high):  # what lies beyond counts for the outermost
        place = np.clip(np.arange(low, high + 1), first, last) - first
        matrix = matrix @ np.eye(last - first + 1, dtype=np.float32)[place]
    return matrix, slice(int(first), int(last) + 1)
