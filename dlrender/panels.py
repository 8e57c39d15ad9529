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
from dlrender.heatmap import Norm, colour, colour_table, make_norm
from dlrender.overlays import Overlay, halo
from dlscore.cache import EpisodeCache
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


def environment_frame(episode: EpisodeCache, step: int, height: int) -> Array:
    """(height, height, 3) uint8: the clean environment frame, scaled."""
    frame = Image.fromarray(episode.frame(step))
    kind = Image.Resampling.LANCZOS if height < frame.height else Image.Resampling.BICUBIC
    return np.asarray(frame if height == frame.height else frame.resize((height, height), kind))


class HeatmapPanel:
    """One method's landscape with overlays; `frame(step)` is (height, width, 3) uint8, width = 4/3 height."""

    def __init__(self, episode: EpisodeCache, method: str, *, colormap: str, norm: Norm | None, range_nats: float = 10.0,
                 overlays: Sequence[Overlay] = (), height: int = SHAPE[1]) -> None:  # fmt: skip
        check_height(height)
        self.episode, self.method, self.norm, self.overlays = episode, method, norm, tuple(overlays)
        self.range_nats, self.table, self._colormap = range_nats, colour_table(colormap), colormap
        self.height, self.width = height, 2 * round(height * SHAPE[0] / SHAPE[1] / 2)
        import matplotlib

        with matplotlib.rc_context(TEXT):
            self.figure, self.axes = self._chrome()
            self._canvas = self.figure.canvas
            self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self.figure.bbox)

    def frame(self, step: int) -> Array:
        """(height, width, 3) uint8 RGB of one step."""
        self._canvas.restore_region(self._background)
        buffer = np.asarray(self._canvas.buffer_rgba())
        left, top, side = self.square
        norm = self.norm or make_norm("frame", [self.episode], self.method, self.range_nats, step)
        scores = self.episode.score(self.method, step)
        buffer[top : top + side, left : left + side, :3] = colour(scores, norm, self.table, side, side)
        for artist in self.artists(step):
            self.axes.draw_artist(artist)
        for spine in self.axes.spines.values():
            self.axes.draw_artist(spine)
        return buffer[..., :3].copy()

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
        self._counter.set_path_effects(halo(2))
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
    from matplotlib.colors import Normalize

    shown = norm or Norm(0.0, 1.0)
    mappable = ScalarMappable(Normalize(shown.low, shown.high), colormap)
    bar = figure.colorbar(mappable, cax=where, extend="min" if shown.cut else "neither")
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


def add_legend(figure: Any, handles: list[Any], anchor: float = 0.5) -> None:
    """The overlays' legend in a row under the axes, centred at `anchor`, on gray, so that white marks are seen."""
    if handles:
        legend = figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(anchor, 0),
            ncols=len(handles),
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
    """(height, width, 3): the environment left, the heatmap right."""
    return np.concatenate([environment, heatmap], axis=1)
