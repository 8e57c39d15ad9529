"""The pictures: environment, heatmap and both side by side, as uint8 RGB frames.

The heatmap's chrome (axes, colorbar, legend) is drawn once by matplotlib. A frame restores it, writes the coloured
scores into the canvas where the axes are, and has matplotlib's own renderer draw the overlays on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlrender.errors import RenderError
from dlrender.heatmap import Limits, Norm, colour_table, make_norm, places
from dlrender.overlays import Overlay
from dlscore.cache import CANVAS, EpisodeCache
from dlscore.grid import ACTION_SPAN

Array = NDArray[Any]

HEIGHTS = (120, 2160)  # px
SHAPE = (640, 480)  # px, the heatmap panel at the height for which its fonts and lines are designed
SQUARE = (62, 28, 392)  # px: left, top and side of the axes at that height
# Hinted glyphs are garbled in small videos, and wider than their share: at 120 px the legend would not fit.
TEXT: dict[Any, Any] = {"text.hinting": "no_hinting"}


def check_height(height: int) -> None:
    """Raise RenderError unless frames can be `height` px high."""
    low, high = HEIGHTS
    if not low <= height <= high or height % 2:
        raise RenderError(f"--target-height {height} is not allowed; choose an even number from {low} to {high} px")


class EnvironmentPanel:
    """The clean environment; `draw(step)` is (height, height, 4) uint8 RGBA, valid until the next call.

    From one step to the next little moves, so only the rectangle that differs from the frame before is scaled anew.
    """

    MARGIN = 4  # px of the picture around what is scaled: more than the filter reaches

    def __init__(self, episode: EpisodeCache, height: int) -> None:
        check_height(height)
        self.episode, self.height = episode, height
        self._kind = Image.Resampling.LANCZOS if height < CANVAS else Image.Resampling.BICUBIC
        self._index: Array | None = None  # of the step drawn last
        self._picture = np.full((height, height, 4), 255, dtype=np.uint8)

    def draw(self, step: int) -> Array:
        """(height, height, 4) uint8 RGBA of one step: the panel's own buffer."""
        index = self.episode.frame_index(step)
        if self._index is None:
            rows = columns = (0, self.height)
        else:
            changed = index != self._index
            rows, columns = (self._reach(changed.any(axis=axis)) for axis in (1, 0))
        if rows[0] < rows[1]:
            self._scale(index, rows, columns)
        self._index = index
        return self._picture

    def _reach(self, changed: Array) -> tuple[int, int]:
        # First and last pixel of the picture that changed pixels of the canvas have a part in.
        at = np.flatnonzero(changed)
        if not len(at):
            return 0, 0
        first, last = at[0] * self.height / CANVAS, (at[-1] + 1) * self.height / CANVAS
        return max(0, int(first) - self.MARGIN), min(self.height, int(np.ceil(last)) + self.MARGIN)

    def _scale(self, index: Array, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        # One margin more is scaled and thrown away, since the filter knows nothing beyond the edge of what it is given.
        wider = [(max(0, low - self.MARGIN), min(self.height, high + self.MARGIN)) for low, high in (columns, rows)]
        (left, right), (top, bottom) = wider
        frame = Image.fromarray(index, "P")
        frame.putpalette(self.episode.palette.tobytes())
        unit = CANVAS / self.height
        box = (left * unit, top * unit, right * unit, bottom * unit)
        near = np.asarray(frame.convert("RGB").resize((right - left, bottom - top), self._kind, box=box))
        inner = near[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
        self._picture[rows[0] : rows[1], columns[0] : columns[1], :3] = inner


class HeatmapPanel:
    """One method's landscape with overlays; `draw(step)` is (height, width, 4) uint8 RGBA, width = 4/3 height."""

    def __init__(self, episode: EpisodeCache, method: str, *, colormap: str, norm: Norm | None, range_nats: float = 10.0,
                 limits: Limits | None = None, overlays: Sequence[Overlay] = (), height: int = SHAPE[1]) -> None:  # fmt: skip
        check_height(height)
        self.episode, self.method, self.norm, self.overlays = episode, method, norm, tuple(overlays)
        self.limits = limits or Limits()
        self.range_nats, self.table, self._colormap = range_nats, colour_table(colormap), colormap
        self.height, self.width = height, 2 * round(height * SHAPE[0] / SHAPE[1] / 2)
        import matplotlib

        with matplotlib.rc_context(TEXT):
            self.figure, self.axes = self._chrome()
            self._canvas = self.figure.canvas
            self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self.figure.bbox)
        opaque = np.full((len(self.table), 1), 255, dtype=np.uint8)
        self._packed = np.ascontiguousarray(np.hstack([self.table, opaque])).view(np.uint32)[:, 0]

    def draw(self, step: int) -> Array:
        """(height, width, 4) uint8 RGBA of one step: the panel's own buffer, valid until the next call."""
        self._canvas.restore_region(self._background)
        buffer = np.asarray(self._canvas.buffer_rgba())
        pixels = buffer.view(np.uint32)[..., 0]
        left, top, side = self.square
        norm = self.norm or make_norm("frame", [self.episode], self.method, self.range_nats, step, self.limits)
        scores = self.episode.score(self.method, step)
        where = places(scores, norm, side, side)
        pixels[top : top + side, left : left + side] = np.take(self._packed, where)
        for artist in self.artists(step):
            self.axes.draw_artist(artist)
        for spine in self.axes.spines.values():
            self.axes.draw_artist(spine)
        return buffer

    def artists(self, step: int) -> list[Any]:
        """What is drawn over the scores of one step: the overlays' artists and the step counter."""
        drawn = [a for overlay in self.overlays for a in overlay.draw(self.axes, self.episode, step, self.method)]
        self._counter.set_text(f"step {step}/{self.episode.steps - 1}")
        return [*drawn, self._counter]

    def data_to_pixel(self, x: float, y: float) -> tuple[float, float]:
        """(column, row) in the frame of an action (x, y) [px of the environment]; pixel centres are at .5."""
        left, top, side = self.square
        return left + x / ACTION_SPAN * side, top + y / ACTION_SPAN * side

    @property
    def square(self) -> tuple[int, int, int]:
        """Left, top and side of the axes in whole pixels of the frame."""
        left, top, side = (round(value * self.height / SHAPE[1]) for value in SQUARE)
        return left, top, side

    def _chrome(self) -> tuple[Any, Any]:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        scale = self.height / SHAPE[1]
        figure = Figure(figsize=(self.width / 100 / scale, self.height / 100 / scale), dpi=100 * scale)
        FigureCanvasAgg(figure)
        left, top, side = self.square
        axes = figure.add_axes(
            (left / self.width, 1 - (top + side) / self.height, side / self.width, side / self.height)
        )
        attrs = self.episode.score_attrs(self.method)
        decorate(axes, f"{self.method}, episode {self.episode.episode}")
        self._counter = axes.text(0.98, 0.98, "", transform=axes.transAxes, ha="right", va="top", fontsize=8.5,
                                  color="white", animated=True)  # fmt: skip
        self._counter.set_bbox({"facecolor": "black", "alpha": 0.45, "edgecolor": "none", "pad": 1.6})
        bar = figure.add_axes(((left + side + 14 * scale) / self.width, 1 - (top + side) / self.height,
                               14 * scale / self.width, side / self.height))  # fmt: skip
        add_colorbar(figure, bar, self._colormap, self.norm, attrs)
        handles = [handle for overlay in self.overlays for handle in overlay.legend(self.episode, self.method)]
        add_legend(figure, handles)
        return figure, axes


def decorate(axes: Any, title: str) -> None:
    """Limits, labels and title of a heatmap: px, y down."""
    axes.set(xlim=(0, ACTION_SPAN), ylim=(ACTION_SPAN, 0), aspect="equal")
    axes.set_xlabel("x [px]", fontsize=8.5, labelpad=1)
    axes.set_ylabel("y [px]", fontsize=8.5, labelpad=4)
    axes.set_xticks(range(0, 513, 128))
    axes.set_yticks(range(0, 513, 128))
    axes.tick_params(labelsize=8, length=3)
    axes.set_title(title, fontsize=10.5, pad=7)


def add_colorbar(figure: Any, where: Any, colormap: str, norm: Norm | None, attrs: dict[str, Any]) -> None:
    """The scale of the colours. With a norm of its own for each frame it has no numbers, only its ends."""
    from matplotlib.cm import ScalarMappable

    shown = norm or Norm(0.0, 1.0)
    mappable = ScalarMappable(shown.of_matplotlib(), colormap)
    pointed = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(mappable, cax=where, extend=pointed[shown.cut, shown.cut_above])
    units = str(attrs["units"]).replace("^2", "²")
    if norm is None:
        bar.set_ticks([0, 1], labels=["least", "most"])
        label = "score, scaled in each frame"
    elif norm.rank:
        label = "share of cells with a lower score"
    else:
        label = f"{'log density' if attrs['kind'] == 'log_density' else 'score'} [{units}]"
    bar.set_label(label, fontsize=8.5)
    bar.ax.tick_params(labelsize=8, length=3)


def add_legend(figure: Any, handles: list[Any], anchor: float = 0.5, columns: int | None = None) -> None:
    """The overlays' legend under the axes, centred at `anchor`, on gray so that white marks are seen; in a row or `columns`."""
    if handles:
        legend = figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(anchor, 0),
            ncols=columns or len(handles),
            fontsize=7.2,
            handlelength=1.4,
            handletextpad=0.6,
            columnspacing=0.9,
            borderpad=0.35,
            borderaxespad=0.25,
            facecolor="#c8c8c8",
            edgecolor="none",
        )
        legend.set_in_layout(False)


def combined_frame(environment: Array, heatmap: Array) -> Array:
    """(height, width, channels): the environment left, the heatmap right."""
    return np.concatenate([environment, heatmap], axis=1)
