"""Fast matplotlib artists with halos, for the frames of a video and the vectors of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.legend_handler import HandlerBase
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import Affine2D, IdentityTransform

from dlrender.overlays.contrast import contrast, halo_color
from dlscore.common.arrays import Array

FAINT = 1.5  # contrast of a line with white below which only its halo is seen on paper
HEAD = 0.4  # length of an arrow's head, and twice half of its width, relative to `size`
SHAFT_AND_HEAD = (Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY)


class HaloArrow(Artist):
    """A straight arrow with a filled head and a halo: matplotlib's FancyArrowPatch "-|>", in a third of the time.

    `size` of the head, and the gaps that it leaves after `start` and before `end`, are points. An arrow that would be
    shorter than its head is not drawn.
    """

    def __init__(
        self,
        start: Array,
        end: Array,
        *,
        color: str,
        linewidth: float,
        edge: float,
        size: float,
        gaps: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        self.start, self.end = start, end
        self.color, self.linewidth, self.edge, self.size, self.gaps = color, linewidth, edge, size, gaps

    def corners(self, point: float) -> Array | None:
        """(6, 2) px of the canvas: shaft and head; None if the head is longer than the arrow. point: px of a point."""
        start, end = self.get_transform().transform([self.start, self.end])
        length, head = np.hypot(*(end - start)), HEAD * self.size * point
        if length - sum(self.gaps) * point < max(head, 1e-9):
            return None
        along = (end - start) / length
        across = np.array([-along[1], along[0]]) * head / 2
        start, tip = start + along * self.gaps[0] * point, end - along * self.gaps[1] * point
        base = tip - along * head
        # One path: filling it fills the head only, since the shaft has no area.
        return np.array([start, base, tip, base + across, base - across, tip])

    def draw(self, renderer: Any) -> None:
        corners = self.corners(renderer.points_to_pixels(1.0))
        if not self.get_visible() or corners is None:
            return
        path = Path(corners, SHAFT_AND_HEAD)
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
    """Path effects that set a line or text off from any background: a stroke of `width` points in `color` under it."""
    return [Stroke(linewidth=width, foreground=color), Normal()]


def place[A: Artist](axes: Axes, artist: A) -> A:
    """The artist in the coordinates of the axes and clipped to them, but not added to them."""
    artist.set_figure(axes.get_figure(root=False))  # type: ignore[arg-type]
    artist.axes = axes
    if not artist.is_transform_set():
        artist.set_transform(axes.transData)
    artist.set_clip_box(axes.bbox)
    return artist


def strokes(color: Any, linewidth: float, edge: float) -> list[tuple[Any, float]]:
    """Colour and width [points] of each stroke of a line: its halo below if there is an edge, then the line itself."""
    return [*([(halo_color(color), linewidth + edge)] if edge else []), (color, linewidth)]


class HaloLines(Artist):
    """Open paths as lines in `color` over a halo `edge` points wider. Widths of both are multiplied by `shares` (paths,).

    join: bevel takes two thirds of the time of round, and is the same on a line that turns little at each of its points.
    All halos are drawn first; with a path effect, each halo would cover the end of the line before. Collections of
    matplotlib take twice the time.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        color: Any,
        linewidth: float,
        edge: float,
        alpha: float = 1.0,
        shares: Sequence[float] | None = None,
        join: str = "round",
    ) -> None:
        super().__init__()
        self.paths, self.linewidth, self.edge = list(paths), linewidth, edge
        self.color, self.shares, self.join = color, [1.0] * len(self.paths) if shares is None else shares, join
        self.set_alpha(alpha)
        self.set_snap(False)  # else straight lines alone would move to whole pixels

    def draw(self, renderer: Any) -> None:
        if not self.get_visible():
            return
        gc, transform = renderer.new_gc(), self.get_transform().frozen()  # frozen once, not for each path
        self._set_gc_clip(gc)  # type: ignore[attr-defined]
        gc.set_snap(self.get_snap())
        gc.set_joinstyle(self.join)
        gc.set_alpha(self.get_alpha())
        for color, width in strokes(self.color, self.linewidth, self.edge):
            gc.set_foreground(to_rgba(color), isRGBA=True)
            for path, share in zip(self.paths, self.shares, strict=True):
                gc.set_linewidth(width * share)
                renderer.draw_path(gc, path, transform)
        gc.restore()


class Mark(Artist):
    """A filled marker of matplotlib, `size` points wide with an edge of `edge` points, at each of (K, 2) points."""

    def __init__(self, points: Array, marker: str, size: float, color: str, edge: float) -> None:
        super().__init__()
        self.points, self.marker, self.size, self.color, self.edge = points, marker, size, color, edge

    def draw(self, renderer: Any) -> None:
        self._draw(renderer, [(halo_color(self.color), self.edge)], to_rgba(self.color), "miter")

    def _draw(self, renderer: Any, lines: Sequence[tuple[Any, float]], fill: Any, join: Any) -> None:
        if not self.get_visible():
            return
        style, pixels = marker_style(self.marker), renderer.points_to_pixels(1.0)
        gc = renderer.new_gc()
        self._set_gc_clip(gc)  # type: ignore[attr-defined]
        gc.set_snap(False)
        gc.set_joinstyle(join)
        gc.set_capstyle("projecting")  # else a halo would end with its line
        shape = style.get_transform() + Affine2D().scale(self.size * pixels)
        where = Path(self.get_transform().transform(self.points))
        for color, width in lines:
            gc.set_foreground(color)
            gc.set_linewidth(width)
            renderer.draw_markers(gc, style.get_path(), shape, where, IdentityTransform(), fill)
        gc.restore()


class OpenMark(Mark):
    """A marker that hides little of what it marks: its outline alone, `linewidth` points wide, with a halo of `edge`."""

    def __init__(self, points: Array, marker: str, size: float, color: str, linewidth: float, edge: float) -> None:
        super().__init__(points, marker, size, color, edge)
        self.linewidth = linewidth

    def draw(self, renderer: Any) -> None:
        self._draw(renderer, strokes(self.color, self.linewidth, self.edge), None, "round")


@lru_cache
def marker_style(marker: str) -> MarkerStyle:
    """The marker of that name; cached."""
    return MarkerStyle(marker)


def mark_handle(label: str, marker: str, size: float, color: str, edge: float) -> Artist:
    """A legend handle for a `Mark`."""
    return Line2D([], [], linestyle="none", marker=marker, markersize=size, markerfacecolor=color,
                  markeredgecolor=halo_color(color), markeredgewidth=edge, label=label)  # fmt: skip


def open_mark_handle(label: str, marker: str, size: float, color: str, linewidth: float, edge: float) -> Artist:
    """A legend handle for an `OpenMark`. A white one is filled: on paper, the two edges of its halo would be two marks."""
    if marker in Line2D.filled_markers and contrast([color], "white")[0] < FAINT:
        return mark_handle(label, marker, size, color, edge / 2)
    style = MarkerStyle(marker, joinstyle="round", capstyle="projecting")
    return Line2D([], [], linestyle="none", marker=style, markersize=size, markerfacecolor="none", markeredgecolor=color,
                  markeredgewidth=linewidth, path_effects=halo(linewidth + edge, halo_color(color)), label=label)  # fmt: skip


def line_handle(label: str, *, color: str, linewidth: float, edge: float, **looks: Any) -> Artist:
    """A legend handle for `HaloLines`."""
    effects = halo(linewidth + edge, halo_color(color)) if edge else None
    return Line2D([], [], color=color, linewidth=linewidth, path_effects=effects, label=label, **looks)


class ArrowHandle(Line2D):
    """A legend handle for a `HaloArrow` of these looks; `HandleArrow` draws it as one."""

    def __init__(self, label: str, **looks: Any) -> None:
        super().__init__([], [], label=label)
        self.looks = looks


class HandleArrow(HandlerBase):
    """Draws an `ArrowHandle` in a legend."""

    def create_artists(self, legend: Any, orig_handle: Any, xdescent: float, ydescent: float, width: float,
                       height: float, fontsize: float, trans: Any) -> list[Artist]:  # fmt: skip
        y, looks = (height - ydescent) / 2, orig_handle.looks
        end = width - xdescent - looks["linewidth"] - looks["edge"]  # the tip's halo stays away from the text
        arrow = HaloArrow(np.array([-xdescent, y]), np.array([end, y]), **looks)
        arrow.set_transform(trans)
        return [arrow]
