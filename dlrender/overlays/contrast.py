"""Contrast of colours as WCAG 2.1 defines it, and the halo that sets a colour off from any background.

On a background of luminance B, either the colour or its halo has a contrast of 3 or more if the colour's luminance is
at least 0.40 with a black halo, or at most 0.066 with a white one. The colours of the bundled styles are chosen so,
also as people with protanopia, deuteranopia or tritanopia see them, and in gray.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb, to_rgba_array

from dlscore.common.arrays import Array

DARK = 0.18  # luminance below which a ground is dark: white has more contrast with it than black


def luminance(colors: Any) -> Array:
    """(K,) relative luminance [0, 1] of K colours of matplotlib, or of (K, 3) sRGB in [0, 1].

    The formula is that of WCAG 2.1, "relative luminance": 0.2126 R + 0.7152 G + 0.0722 B of the linear channels.
    """
    srgb = to_rgba_array(colors)[:, :3]
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    weighted: Array = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighted


def contrast(ones: Any, others: Any) -> Array:
    """Contrast ratio [1, 21] of colours, pair by pair: (lighter + 0.05) / (darker + 0.05), of WCAG 2.1."""
    one, other = luminance(ones) + 0.05, luminance(others) + 0.05
    ratio: Array = np.maximum(one, other) / np.minimum(one, other)
    return ratio


def halo_color(color: Any) -> str:
    """Black or white, whichever contrasts more with the colour."""
    return _halo_color(to_rgb(color))


def on_ground(colors: Array, ground: Any) -> Array:
    """Colours (..., 3) of the environment, uint8 sRGB, on the ground of the axes: themselves unless it is dark.

    On a dark ground their lightness (that of HLS) is inverted and their hue and saturation stay. White becomes the ground.
    """
    if luminance([ground])[0] > DARK:
        return colors
    shades = colors.astype(float)
    inverted = 255 + shades - shades.min(axis=-1, keepdims=True) - shades.max(axis=-1, keepdims=True)
    floor = 255 * np.array(to_rgb(ground))
    placed: Array = (floor + (1 - floor / 255) * inverted + 0.5).astype(np.uint8)
    return placed


@lru_cache
def _halo_color(rgb: tuple[float, float, float]) -> str:
    return "black" if contrast([rgb], "black") >= contrast([rgb], "white") else "white"
