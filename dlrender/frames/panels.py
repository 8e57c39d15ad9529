"""The panels of a video, rendered fast: environment and heatmap, as uint8 RGBA.

matplotlib draws the surroundings of a heatmap (axes, colour bar, legend) once. For each frame, the panel writes the
coloured scores into the canvas inside the axes, and matplotlib's own renderer draws the overlays on top, clipped to the axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.path import Path
from PIL import Image

from dlrender.colors import Norm, color_indices, color_table
from dlrender.frames.axes import HEIGHT, add_environment, add_heatmap, make_figure, square_of, width_of
from dlrender.frames.frame import Frame
from dlrender.frames.legend import add_legend, handles_of
from dlrender.overlays import Overlay, StepView
from dlrender.overlays.artists import HaloLines, place
from dlrender.overlays.contrast import on_ground
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE


def view_step(cache: EpisodeCache, step: int, method: str, norm: Norm | None, style: Style) -> StepView:
    """One step as it is drawn; `norm` is None if each step has its own."""
    norm = norm or style.make_norm([cache], method, step)
    return StepView(cache, step, method, cache.score(method, step), norm, style.colormap)


class EnvironmentPanel:
    """The environment, a square of `height` px, without overlays unless the style draws them there.

    Little moves from one step to the next, so only the box that differs from the frame before is scaled again.
    """

    MARGIN = 4  # px of the frame around the box: more than the reach of the filter

    def __init__(self, style: Style, height: int = HEIGHT) -> None:
        self.height = height
        self._kind = Image.Resampling.LANCZOS if height < WORLD_SIZE else Image.Resampling.BICUBIC
        self._index: Array | None = None  # of the step before
        self._ground = rcParams["axes.facecolor"]
        self._pixels = np.full((height, height, 4), 255, dtype=np.uint8)
        self.overlays = style.drawn("environment")
        if self.overlays:
            figure = make_figure(HEIGHT, HEIGHT, 100 * height / HEIGHT)
            self.axes = add_environment(figure, (HEIGHT, HEIGHT), 0, 0, HEIGHT)
            figure.canvas.draw()
            self._buffer = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]

    def render(self, view: StepView) -> Frame:
        """The frame of one step."""
        index = view.cache.frame_index(view.step)
        if self._index is None:
            rows = columns = (0, self.height)
        else:
            changed = index != self._index
            rows, columns = (self._reach(changed.any(axis=axis)) for axis in (1, 0))
        moved = rows[0] < rows[1]
        if moved:
            self._scale(index, on_ground(view.cache.palette, self._ground), rows, columns)
        self._index = index
        if self.overlays:
            self._buffer[:] = self._pixels
            draw_artists(self.axes, artists(self.overlays, self.axes, view))
            return Frame.whole(self._buffer)
        return Frame(self._pixels, (columns[0], rows[0], columns[1], rows[1]) if moved else None)

    def _reach(self, changed: Array) -> tuple[int, int]:
        # The range of rows or columns of the frame that changed ones of the canvas contribute to.
        where = np.flatnonzero(changed)
        if not len(where):
            return 0, 0
        first, last = where[0] * self.height / WORLD_SIZE, (where[-1] + 1) * self.height / WORLD_SIZE
        return max(0, int(first) - self.MARGIN), min(self.height, int(np.ceil(last)) + self.MARGIN)

    def _scale(self, index: Array, palette: Array, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        # The filter is inexact at the edges of its input, so a margin is scaled too and cut off.
        wider = [(max(0, low - self.MARGIN), min(self.height, high + self.MARGIN)) for low, high in (columns, rows)]
        (left, right), (top, bottom) = wider
        unit = WORLD_SIZE / self.height
        box = (left * unit, top * unit, right * unit, bottom * unit)
        # Only the pixels within the reach of the filter are converted to RGB.
        reach = int(np.ceil(4 * unit))
        x, y = max(0, int(box[0]) - reach), max(0, int(box[1]) - reach)
        seen = index[y : int(np.ceil(box[3])) + reach, x : int(np.ceil(box[2])) + reach]
        image = Image.fromarray(np.ascontiguousarray(seen), "P")
        image.putpalette(palette.tobytes())
        inside = (box[0] - x, box[1] - y, box[2] - x, box[3] - y)
        scaled = np.asarray(image.convert("RGB").resize((right - left, bottom - top), self._kind, box=inside))
        inner = scaled[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
        self._pixels[rows[0] : rows[1], columns[0] : columns[1], :3] = inner


class HeatmapPanel:
    """The heatmap of one method with overlays, axes, colour bar and legend; `norm` is None if each frame has its own."""

    def __init__(self, cache: EpisodeCache, method: str, norm: Norm | None, style: Style, height: int = HEIGHT) -> None:
        self.method, self.norm, self.height, self.width = method, norm, height, width_of(style, height)
        self.overlays = style.drawn("heatmap")
        self.square = square_of(style, height)
        unit = height / HEIGHT
        self.figure = make_figure(self.width / unit, self.height / unit, 100 * unit)
        self.axes = add_heatmap(self.figure, (self.width, self.height), 0, cache, method, norm, style)
        if style.layout.legend:
            add_legend(self.figure, self.axes, handles_of(style.drawn(), cache, [method]), style, 0, 1, unit)
        self.figure.canvas.draw()
        self._buffer = np.asarray(self.figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
        self._spines = _spines(self.axes)
        table = color_table(style.colormap)
        opaque = np.full((len(table), 1), 255, dtype=np.uint8)
        self._packed = np.ascontiguousarray(np.hstack([table, opaque])).view(np.uint32)[:, 0]
        self._rendered = False

    def render(self, view: StepView) -> Frame:
        """The frame of one step."""
        left, top, side = self.square
        inside = self._buffer.view(np.uint32)[top : top + side, left : left + side, 0]
        inside[:] = np.take(self._packed, color_indices(view.scores, view.norm, side, side))
        draw_artists(self.axes, [*artists(self.overlays, self.axes, view), *self._spines])
        first, self._rendered = not self._rendered, True
        return Frame.whole(self._buffer) if first else Frame(self._buffer, (left, top, left + side, top + side))

    def data_to_pixel(self, x: float, y: float) -> tuple[float, float]:
        """(column, row) in the frame of an action (x, y) [px of the environment]; pixel centres are at .5."""
        left, top, side = self.square
        return left + x / WORLD_SIZE * side, top + y / WORLD_SIZE * side


def artists(overlays: Sequence[Overlay], axes: Axes, view: StepView) -> list[Artist]:
    """The artists of all overlays at a view, in the order in which matplotlib would draw them."""
    drawn = [place(axes, artist) for overlay in overlays for artist in overlay.draw(axes, view)]
    return sorted(drawn, key=Artist.get_zorder)


def draw_artists(axes: Axes, drawn: Sequence[Artist]) -> None:
    """Draw the artists into the canvas of the axes, immediately."""
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined, union-attr]
    for artist in drawn:
        artist.draw(renderer)


def _spines(axes: Axes) -> list[Artist]:
    # The axes' spines, drawn again over the scores and overlays.
    ends = {"left": ((0, 0), (0, 1)), "right": ((1, 0), (1, 1)), "bottom": ((0, 0), (1, 0)), "top": ((0, 1), (1, 1))}
    shown = [name for name in ends if axes.spines[name].get_visible()]
    if not shown:
        return []
    lines = [Path(np.array(ends[name], dtype=float)) for name in shown]
    like = axes.spines[shown[0]]
    spines = HaloLines(lines, like.get_edgecolor(), like.get_linewidth(), edge=0)
    spines.set_transform(axes.transAxes)
    spines.set_snap(None)  # to whole pixels, as matplotlib snaps spines
    return [place(axes, spines)]  # clipped to the axes: the outer half is still there from the first drawing
