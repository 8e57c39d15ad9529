"""What every overlay is: looks that are checked, artists for one moment, handles for the legend.

Artists are in px of the environment, y down, and serve every output: the frames of a video and the vectors of a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cbook import is_math_text
from matplotlib.colors import is_color_like, to_rgba
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path
from matplotlib.patheffects import Normal, Stroke
from matplotlib.transforms import Affine2D, IdentityTransform
from numpy.typing import NDArray
from pyparsing import ParseBaseException

from dlrender.choices import check_name
from dlrender.errors import RenderError
from dlrender.heatmap import Norm
from dlscore.cache import EpisodeCache

Array = NDArray[Any]

PANELS = ("heatmap", "environment", "both")


@dataclass(frozen=True)
class Moment:
    """One step of one method: its scores (N, N), and the norm and colormap that they are shown with."""

    episode: EpisodeCache
    step: int
    method: str
    scores: Array
    norm: Norm
    colormap: str

    @property
    def is_density(self) -> bool:
        """Whether the scores are log densities."""
        return bool(self.episode.score_attrs(self.method)["kind"] == "log_density")


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Base of all overlays. `panel` says over which picture it is drawn: heatmap, environment or both.

    Lengths are points of a panel 480 px high unless a field says px. RenderError for looks that cannot be drawn.
    """

    # Lengths in points, which shrink where the panels of a sheet are small.
    LENGTHS: ClassVar[tuple[str, ...]] = ("linewidth", "edge", "size", "gap", "fontsize")

    panel: str = "heatmap"

    def __post_init__(self) -> None:
        check_name("panel", self.panel, PANELS)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "color" and not (is_color_like(value) and to_rgba(value)[3] == 1):
                self._refuse("color", value, "an opaque colour of matplotlib, such as red or #ff6b6b")
            if field.name in ("alpha", "strength") and not 0 <= value <= 1:
                self._refuse(field.name, value, "0 to 1")
            if field.name in self.LENGTHS and not 0 <= value <= 100:
                self._refuse(field.name, value, "0 to 100 points")
            if field.name in ("size", "fontsize") and value == 0:
                self._refuse(field.name, value, "more than 0 points")
            if field.name == "label" and not is_text(value):
                self._refuse("label", value, "a text whose $…$ is mathtext")

    def _refuse(self, name: str, value: object, allowed: str) -> None:
        raise RenderError(f"{name} {value} is not allowed; choose {allowed}")

    def draw(self, axes: Axes, moment: Moment) -> Sequence[Artist]:
        """The artists of one moment, in the coordinates of `axes`, which does not keep them."""
        raise NotImplementedError

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        """The handles that explain it; none where the picture does."""
        return ()


def is_text(text: str) -> bool:
    """Whether matplotlib can draw a text: what stands between two $ must be mathtext."""
    try:
        MathTextParser("agg").parse(text) if is_math_text(text) else None
    except (ValueError, ParseBaseException):
        return False
    return True


def halo(width: float, color: str = "black") -> list[Any]:
    """Path effects that set a line or text off from any ground: a stroke of `width` points under it."""
    return [Stroke(linewidth=width, foreground=color), Normal()]


def place(axes: Axes, artist: Artist) -> Artist:
    """The artist in the coordinates of the axes and clipped to them, without the axes keeping it."""
    artist.set_figure(axes.get_figure(root=False))  # type: ignore[arg-type]
    artist.axes = axes
    if not artist.is_transform_set():
        artist.set_transform(axes.transData)
    artist.set_clip_box(axes.bbox)
    return artist


def strokes(color: Any, linewidth: float, edge: float) -> list[tuple[Any, float]]:
    """Colour and width [points] of what a line is drawn with: a black stroke that sets it off, if any, then its own."""
    return [*([("black", linewidth + edge)] if edge else []), (color, linewidth)]


class Outlined(Artist):
    """Open paths as lines in `color` over black ones that are `edge` points wider, which set them off from any ground.

    All black ones come first: a path effect would lay the halo of each over the end of the one before. matplotlib's
    collections draw the same in twice the time.
    """

    def __init__(
        self, paths: Sequence[Path], color: Any, linewidth: float, edge: float, alpha: float | Array = 1.0
    ) -> None:
        super().__init__()
        self.paths, self.linewidth, self.edge = list(paths), linewidth, edge
        self.color, self.alphas = color, np.broadcast_to(alpha, len(self.paths))
        self.set_snap(False)  # a straight line among bent ones stays where it is

    def draw(self, renderer: Any) -> None:
        if not self.get_visible():
            return
        gc, transform = renderer.new_gc(), self.get_transform().frozen()  # which each path would make anew
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
    """One of matplotlib's markers, `size` points wide with a black rim of `edge` points, at each of (K, 2) points."""

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
    """matplotlib's marker of that name."""
    return MarkerStyle(marker)


def mark_handle(label: str, marker: str, size: float, color: str, edge: float) -> Artist:
    """A legend's handle for what `Mark` draws."""
    return Line2D([], [], linestyle="none", marker=marker, markersize=size, markerfacecolor=color,
                  markeredgecolor="black", markeredgewidth=edge, label=label)  # fmt: skip


def line_handle(label: str, *, color: str, linewidth: float, edge: float, **looks: Any) -> Artist:
    """A legend's handle for what `Outlined` draws."""
    return Line2D([], [], color=color, linewidth=linewidth, path_effects=halo(linewidth + edge), label=label, **looks)
