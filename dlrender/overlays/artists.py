"""Fast matplotlib artists with halos, for the frames of a video and the vectors of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import Affine2D, IdentityTransform

from dlscore.common.arrays import Array

SHAFT_AND_HEAD = (Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY)


class HaloArrow(Artist):
    """A straight arrow with a filled head and a halo: matplotlib's FancyArrowPatch "-|>", in a third of the time.

    `size` of the head and `gap` before `end` are points.
    """

    def __init__(
        self, start: Array, end: Array, *, color: str, linewidth: float, edge: float, size: float, gap: float
    ) -> None:
        super().__init__()
        self.start, self.end = start, end
        self.color, self.linewidth, self.edge, self.size, self.gap = color, linewidth, edge, size, gap

    def draw(self, renderer: Any) -> None:
        pixels = renderer.points_to_pixels(1.0)
        (start, end), head = self.get_transform().transform([self.start, self.end]), 0.4 * self.size * pixels
        length = np.hypot(*(end - start))
        if not self.get_visible() or length <= self.gap * pixels:
            return
        along = (end - start) / length
        across = np.array([-along[1], along[0]])
        tip = end - along * self.gap * pixels
        base = tip - along * min(head, np.dot(tip - start, along))
        # One path: filling it fills the head only, since the shaft has no area.
        corners = [start, base, tip, base + across * head / 2, base - across * head / 2, tip]
        path = Path(np.array(corners), SHAFT_AND_HEAD)
        gc = renderer.new_gc()
        self._set_gc_clip(gc)  # type: ignore[attr-defined]
        gc.set_snap(False)
        gc.set_joinstyle("miter")
        for color, width in strokes(self.color, self.linewidth, self.edge):
            gc.set_linewidth(width)
            gc.set_foreground(color)
            renderer.draw_path(gc, path, IdentityTransform(), to_rgba(color))
        gc.restore()


def halo(width: float, color: str = "black") -> list[Any]:
    """Path effects that set a line or text off from any background: a stroke of `width` points under it."""
    return [Stroke(linewidth=width, foreground=color), Normal()]


def place(axes: Axes, artist: Artist) -> Artist:
    """The artist in the coordinates of the axes and clipped to them, but not added to them."""
    artist.set_figure(axes.get_figure(root=False))  # type: ignore[arg-type]
    artist.axes = axes
    if not artist.is_transform_set():
        artist.set_transform(axes.transData)
    artist.set_clip_box(axes.bbox)
    return artist


def strokes(color: Any, linewidth: float, edge: float) -> list[tuple[Any, float]]:
    """Colour and width [points] of each stroke of a line: a black one below if there is an edge, then the line itself."""
    return [*([("black", linewidth + edge)] if edge else []), (color, linewidth)]


class HaloLines(Artist):
    """Open paths as lines in `color` over a black halo `edge` points wider.

    All halos are drawn first; with a path effect, each halo would cover the end of the line before. Collections of
    matplotlib take twice the time.
    """

    def __init__(
        self, paths: Sequence[Path], color: Any, linewidth: float, edge: float, alpha: float | Array = 1.0
    ) -> None:
        super().__init__()
        self.paths, self.linewidth, self.edge = list(paths), linewidth, edge
        self.color, self.alphas = color, np.broadcast_to(alpha, len(self.paths))
        self.set_snap(False)  # else straight lines alone would move to whole pixels

    def draw(self, renderer: Any) -> None:
        if not self.get_visible():
            return
        gc, transform = renderer.new_gc(), self.get_transform().frozen()  # frozen once, not for each path
        self._set_gc_clip(gc)  # type: ignore[attr-defined]
        gc.set_snap(self.get_snap())
        gc.set_joinstyle("round")
        for color, width in strokes(self.color, self.linewidth, self.edge):
            gc.set_linewidth(width)
            gc.set_foreground(to_rgba(color), isRGBA=True)
            for path, alpha in zip(self.paths, self.alphas, strict=True):
                gc.set_alpha(float(alpha))
                renderer.draw_path(gc, path, transform)
        gc.restore()


class Mark(Artist):
    """A marker of matplotlib, `size` points wide with a black edge of `edge` points, at each of (K, 2) points."""

    def __init__(self, points: Array, marker: str, size: float, color: str, edge: float) -> None:
        super().__init__()
        self.points, self.marker, self.size, self.color, self.edge = points, marker, size, color, edge

    def draw(self, renderer: Any) -> None:
        if not self.get_visible():
            return
        style, pixels = marker_style(self.marker), renderer.points_to_pixels(1.0)
        gc = renderer.new_gc()
        self._set_gc_clip(gc)  # type: ignore[attr-defined]
        gc.set_snap(False)
        gc.set_joinstyle("miter")
        gc.set_foreground("black")
        gc.set_linewidth(self.edge)
        shape = style.get_transform() + Affine2D().scale(self.size * pixels)
        where = Path(self.get_transform().transform(self.points))
        renderer.draw_markers(gc, style.get_path(), shape, where, IdentityTransform(), to_rgba(self.color))
        gc.restore()


@lru_cache
def marker_style(marker: str) -> MarkerStyle:
    """The marker of that name; cached."""
    return MarkerStyle(marker)


def mark_handle(label: str, marker: str, size: float, color: str, edge: float) -> Artist:
    """A legend handle for a `Mark`."""
    return Line2D([], [], linestyle="none", marker=marker, markersize=size, markerfacecolor=color,
                  markeredgecolor="black", markeredgewidth=edge, label=label)  # fmt: skip


def line_handle(label: str, *, color: str, linewidth: float, edge: float, **looks: Any) -> Artist:
    """A legend handle for `HaloLines` or `HaloArrow`."""
    return Line2D([], [], color=color, linewidth=linewidth, path_effects=halo(linewidth + edge), label=label, **looks)
