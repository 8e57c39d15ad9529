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
from matplotlib.colors import to_rgb
from matplotlib.path import Path
from matplotlib.transforms import BboxTransform
from PIL import Image

from dlrender.colors import Norm
from dlrender.frames.axes import (
    HEIGHT,
    add_environment,
    add_heatmap,
    environment_square,
    environment_width,
    make_figure,
    mark_window,
    square_of,
    width_of,
)
from dlrender.frames.frame import Box, Frame, restore_rim, union
from dlrender.frames.legend import add_legend, handles_of
from dlrender.overlays import Overlay, StepView
from dlrender.overlays.artists import HaloLines, place
from dlrender.overlays.contrast import on_ground
from dlrender.shading import draw_heat
from dlrender.style.style import Style
from dlrender.window import WHOLE, Window
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE


def view_step(
    cache: EpisodeCache, step: int, method: str, norm: Norm | None, style: Style, window: Window | None = None
) -> StepView:
    """One step as it is drawn. norm: None if each step has its own; window: None for the one of the style."""
    norm = norm or style.make_norm([cache], method, step)
    window = window or style.make_windows(cache, [method], [step])[0]
    return StepView(cache, step, method, cache.score(method, step), norm, style.colormap, window)


class EnvironmentPanel:
    """The environment, a square of `height` px, without overlays unless the style draws them there.

    beside: it is one of the panels of a combined video: as large as the squares of the heatmaps, and in their rows, with the
    outline of their window. Little moves from one step to the next, so only the box that differs from the frame before is
    scaled again.
    """

    MARGIN = 4  # px of the frame around the box: more than the reach of the filter

    def __init__(self, style: Style, height: int = HEIGHT, beside: bool = False) -> None:
        self.height, self.width = height, environment_width(style, height) if beside else height
        self.square = environment_square(style, height) if beside else (0, 0, height)
        self.side, self.beside = self.square[2], beside
        self._kind = Image.Resampling.LANCZOS if self.side < WORLD_SIZE else Image.Resampling.BICUBIC
        self._index: Array | None = None  # of the step before
        self._ground = rcParams["axes.facecolor"]
        self._palette: Array | None = None  # on that ground
        self.overlays = style.drawn("environment")
        unit = height / HEIGHT
        figure = make_figure(self.width / unit, self.height / unit, 100 * unit)
        self.axes = add_environment(figure, (self.width, self.height), *self.square)
        figure.canvas.draw()
        freeze(self.axes)
        self._buffer = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
        self._pixels = np.full((self.side, self.side, 4), 255, dtype=np.uint8)
        self._clean = self._buffer.copy()
        self._marked: Box | None = None  # what was drawn over at the step before

    def forget(self) -> None:
        """Draw the next frame whole. Parts that are scaled alone may differ from it in the last bit."""
        self._index = None
        self._buffer[:] = self._clean

    def render(self, view: StepView) -> Frame:
        """The frame of one step."""
        index, first = view.cache.frame_index(view.step), self._index is None
        if self._index is None:
            rows = columns = (0, self.side)
        else:
            changed = index != self._index
            rows, columns = (self._reach(changed.any(axis=axis)) for axis in (1, 0))
        if self._palette is None:
            self._palette = on_ground(view.cache.palette, self._ground)
        moved = rows[0] < rows[1]
        if moved:
            self._scale(index, self._palette, rows, columns)
        self._index = index
        left, top, side = self.square
        drawn = artists(self.overlays, self.axes, view)
        marked: Box | None = (0, 0, side, side) if drawn else None
        if self.beside and not view.window.is_whole:
            drawn.append(mark_window(self.axes, view))
            marked = marked or self._around(view.window)
        box = union([self._marked, marked, (columns[0], rows[0], columns[1], rows[1]) if moved else None])
        self._marked = marked
        if box is not None:
            inside = self._buffer[top : top + side, left : left + side]
            part = slice(box[1], box[3]), slice(box[0], box[2])
            inside[part] = self._pixels[part]
            draw_artists(self.axes, drawn)
            restore_rim(self._buffer, self._clean, self.square)
            box = (left + box[0], top + box[1], left + box[2], top + box[3])
        return Frame.whole(self._buffer) if first else Frame(self._buffer, box)

    def _around(self, window: Window) -> Box:
        # What the outline of a window may cover.
        unit, wide = self.side / WORLD_SIZE, 2 + 2 * self.height // HEIGHT  # px, with its halo
        low = int(window.left * unit) - wide, int(window.top * unit) - wide
        high = (int(np.ceil((each + window.side) * unit)) + wide for each in (window.left, window.top))
        left, top, right, bottom = (min(max(each, 0), self.side) for each in (*low, *high))
        return left, top, right, bottom

    def _reach(self, changed: Array) -> tuple[int, int]:
        # The range of rows or columns of the frame that changed ones of the canvas contribute to.
        where = np.flatnonzero(changed)
        if not len(where):
            return 0, 0
        first, last = where[0] * self.side / WORLD_SIZE, (where[-1] + 1) * self.side / WORLD_SIZE
        return max(0, int(first) - self.MARGIN), min(self.side, int(np.ceil(last)) + self.MARGIN)

    def _scale(self, index: Array, palette: Array, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        # The filter is inexact at the edges of its input, so a margin is scaled too and cut off.
        wider = [(max(0, low - self.MARGIN), min(self.side, high + self.MARGIN)) for low, high in (columns, rows)]
        (left, right), (top, bottom) = wider
        unit = WORLD_SIZE / self.side
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
        self.heat, self.square = style.heat, square_of(style, height)
        drawn = style.drawn("heatmap")
        self.under = [each for each in drawn if each.UNDER]
        self.overlays = [each for each in drawn if not each.UNDER]
        self.window = style.make_windows(cache, [method], [0])[0] if style.window != "follow" else None
        unit = height / HEIGHT
        self.figure = make_figure(self.width / unit, self.height / unit, 100 * unit)
        self.axes = add_heatmap(self.figure, (self.width, self.height), 0, cache, method, norm, style, self.window)
        if style.layout.legend:
            add_legend(self.figure, self.axes, handles_of(style.drawn(), cache, [method]), style, 0, 1, unit)
        self.figure.canvas.draw()
        self._renderer = self.figure.canvas.get_renderer()  # type: ignore[attr-defined]
        self._buffer = np.asarray(self._renderer.buffer_rgba())
        self._ground = (
            (np.array([*to_rgb(self.axes.get_facecolor()), 1.0]) * 255 + 0.5).astype(np.uint8).view(np.uint32)
        )
        self._spines = _spines(self.axes)
        self._shown = self.window
        freeze(self.axes)
        self._rendered = False
        self._clean = self._buffer.copy()

    def forget(self) -> None:
        """Give the next frame as whole."""
        self._rendered = False
        self._buffer[:] = self._clean

    def render(self, view: StepView) -> Frame:
        """The frame of one step."""
        left, top, side = self.square
        inside = self._buffer[top : top + side, left : left + side]
        packed = inside.view(np.uint32)[..., 0]
        if view.window != self._shown:
            x0, x1, y0, y1 = view.window.extent
            self.axes.viewLim.set_points(np.array([(x0, y0), (x1, y1)]))  # set_xlim takes a fifth of a frame
            self._shown = view.window
            freeze(self.axes)
        if self.heat == "opaque":
            shades = view.shades(over=False)
            np.take(shades.table.view(np.uint32)[:, 0], shades.indices(view.values(side)), out=packed, mode="clip")
        else:
            packed[:] = self._ground
            draw_artists(self.axes, artists(self.under, self.axes, view))
            if self.heat == "over":
                draw_heat(packed, self._ground, view.shades(over=True), view.values(side))
        draw_artists(self.axes, [*artists(self.overlays, self.axes, view), *self._spines])
        restore_rim(self._buffer, self._clean, self.square)
        first, self._rendered = not self._rendered, True
        return Frame.whole(self._buffer) if first else Frame(self._buffer, (left, top, left + side, top + side))

    def data_to_pixel(self, x: float, y: float, window: Window = WHOLE) -> tuple[float, float]:
        """(column, row) in the frame of an action (x, y) [px of the environment]; pixel centres are at .5."""
        left, top, side = self.square
        return left + (x - window.left) / window.side * side, top + (y - window.top) / window.side * side


def freeze(axes: Axes) -> None:
    """Fix the coordinates of linear axes as they are, which each artist would else compute anew."""
    axes.transData = BboxTransform(axes.viewLim.frozen(), axes.bbox.frozen())  # type: ignore[assignment]


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
    corners = np.array([ends[name] for name in shown], dtype=float).reshape(-1, 2)
    lines = Path(corners, [Path.MOVETO, Path.LINETO] * len(shown))
    like = axes.spines[shown[0]]
    spines = HaloLines([lines], like.get_edgecolor(), like.get_linewidth(), edge=0)
    spines.set_transform(axes.transAxes)
    spines.set_snap(None)  # to whole pixels, as matplotlib snaps spines
    return [place(axes, spines)]  # clipped to the axes: the outer half is still there from the first drawing
