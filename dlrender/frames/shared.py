"""Heatmaps of several methods side by side in a video: the same frames as in their own, with one legend for all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlrender.colors import Norm
from dlrender.frames.axes import HEIGHT, add_heatmap, make_figure, square_of, width_of
from dlrender.frames.frame import Frame
from dlrender.frames.legend import add_legend, handles_of
from dlrender.style.style import Style
from dlrender.window import Window
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array


class SharedLegend:
    """Copies of the methods' frames whose surroundings are of one figure, drawn once."""

    def __init__(
        self, cache: EpisodeCache, norms: Mapping[str, Norm | None], style: Style, window: Window | None
    ) -> None:
        height, width = style.target_height, width_of(style, style.target_height)
        self._square = square_of(style, height)
        unit, size = height / HEIGHT, (width * len(norms), height)
        figure = make_figure(size[0] / unit, height / unit, 100 * unit)
        for n, (method, norm) in enumerate(norms.items()):
            axes = add_heatmap(figure, size, n * width, cache, method, norm, style, window)
        add_legend(figure, axes, handles_of(style.drawn(), cache, list(norms)), style, 0, 1, unit)
        figure.canvas.draw()
        drawn = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
        self._pixels: dict[str, Array] = {
            method: drawn[:, n * width : (n + 1) * width].copy() for n, method in enumerate(norms)
        }
        self._given: set[str] = set()

    def forget(self) -> None:
        """Give the next frames as whole."""
        self._given.clear()

    def frame(self, method: str, own: Frame) -> Frame:
        """The frame of a method, whose own has the same heatmap in other surroundings."""
        left, top, side = self._square
        inside, pixels = (slice(top, top + side), slice(left, left + side)), self._pixels[method]
        pixels[inside] = own.pixels[inside]
        if method not in self._given:
            self._given.add(method)
            return Frame.whole(pixels)
        return own.beside(pixels)
