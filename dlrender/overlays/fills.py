"""Filled shapes, drawn fast in frames and as vectors in figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.colors import to_rgba
from matplotlib.path import Path


class Fills(Artist):
    """Closed paths, each filled with its colour, without edges."""

    def __init__(self, paths: Sequence[Path], colors: Sequence[Any], alpha: float = 1.0) -> None:
        super().__init__()
        self.paths, self.colors = list(paths), [to_rgba(color) for color in colors]
        self.set_alpha(alpha)

    def draw(self, renderer: Any) -> None:
        if not self.get_visible():
            return
        gc, transform = renderer.new_gc(), self.get_transform().frozen()
        self._set_gc_clip(gc)  # type: ignore[attr-defined]
        gc.set_snap(False)
        gc.set_linewidth(0)
        gc.set_alpha(self.get_alpha())
        for path, color in zip(self.paths, self.colors, strict=True):
            renderer.draw_path(gc, path, transform, color)
        gc.restore()
