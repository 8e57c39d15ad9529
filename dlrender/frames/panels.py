"""The pictures of a video, drawn fast: environment and heatmap, as uint8 RGBA.

The heatmap's chrome (axes, colour bar, legend) is drawn once by matplotlib. A frame writes the coloured scores into the
canvas where the axes are, and has matplotlib's own renderer draw the overlays on top, clipped to the axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.path import Path
from PIL import Image

from dlrender.colors import Norm, color_indices, color_table
from dlrender.frames.axes import HEIGHT, add_environment, add_heatmap, make_figure, square_of, width_of
from dlrender.frames.frame import Frame
from dlrender.overlays import Overlay, StepView
from dlrender.overlays.artists import HaloLines, place
from dlrender.style.style import Style
from dlscore.cache.reader import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE


def view_step(episode: EpisodeCache, step: int, method: str, norm: Norm | None, style: Style) -> StepView:
    """One step as it is drawn; without a norm for the whole video it gets one of its own."""
    found = norm or style.make_norm([episode], method, step)
    return StepView(episode, step, method, episode.score(method, step), found, style.colormap)


class EnvironmentPanel:
    """The environment, clean unless a style draws overlays there; a square of `height` px.

    From one step to the next little moves, so only the rectangle that differs from the frame before is scaled anew.
    """

    MARGIN = 4  # px of the picture around what is scaled: more than the filter reaches

    def __init__(self, style: Style, height: int = HEIGHT) -> None:
        self.height = height
        self._kind = Image.Resampling.LANCZOS if height < WORLD_SIZE else Image.Resampling.BICUBIC
        self._index: Array | None = None  # of the step drawn last
        self._picture = np.full((height, height, 4), 255, dtype=np.uint8)
        self.overlays = style.drawn("environment")
        if self.overlays:
            figure = make_figure(HEIGHT, HEIGHT, 100 * height / HEIGHT)
            self.axes = add_environment(figure, (HEIGHT, HEIGHT), 0, 0, HEIGHT)
            figure.canvas.draw()
            self._buffer = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]

    def draw(self, view: StepView) -> Frame:
        """One step."""
        index = view.episode.frame_index(view.step)
        if self._index is None:
            rows = columns = (0, self.height)
        else:
            changed = index != self._index
            rows, columns = (self._reach(changed.any(axis=axis)) for axis in (1, 0))
        moved = rows[0] < rows[1]
        if moved:
            self._scale(index, view.episode.palette, rows, columns)
        self._index = index
        if self.overlays:
            self._buffer[:] = self._picture
            draw_artists(self.axes, artists(self.overlays, self.axes, view))
            return Frame.whole(self._buffer)
        return Frame(self._picture, (columns[0], rows[0], columns[1], rows[1]) if moved else None)

    def _reach(self, changed: Array) -> tuple[int, int]:
        # First and last pixel of the picture that changed pixels of the canvas have a part in.
        at = np.flatnonzero(changed)
        if not len(at):
            return 0, 0
        first, last = at[0] * self.height / WORLD_SIZE, (at[-1] + 1) * self.height / WORLD_SIZE
        return max(0, int(first) - self.MARGIN), min(self.height, int(np.ceil(last)) + self.MARGIN)

    def _scale(self, index: Array, palette: Array, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        # One margin more is scaled and thrown away, since the filter knows nothing beyond the edge of what it is given.
        wider = [(max(0, low - self.MARGIN), min(self.height, high + self.MARGIN)) for low, high in (columns, rows)]
        (left, right), (top, bottom) = wider
        unit = WORLD_SIZE / self.height
        box = (left * unit, top * unit, right * unit, bottom * unit)
        # Only what the filter sees becomes RGB: whole pixels around the box, and the filter's reach.
        reach = int(np.ceil(4 * unit))
        x, y = max(0, int(box[0]) - reach), max(0, int(box[1]) - reach)
        seen = index[y : int(np.ceil(box[3])) + reach, x : int(np.ceil(box[2])) + reach]
        frame = Image.fromarray(np.ascontiguousarray(seen), "P")
        frame.putpalette(palette.tobytes())
        inside = (box[0] - x, box[1] - y, box[2] - x, box[3] - y)
        near = np.asarray(frame.convert("RGB").resize((right - left, bottom - top), self._kind, box=inside))
        inner = near[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
        self._picture[rows[0] : rows[1], columns[0] : columns[1], :3] = inner


class HeatmapPanel:
    """One method's landscape with overlays, in its chrome; norm None for one of its own in each frame."""

    def __init__(
        self, episode: EpisodeCache, method: str, norm: Norm | None, style: Style, height: int = HEIGHT
    ) -> None:
        self.method, self.norm, self.height, self.width = method, norm, height, width_of(style, height)
        self.overlays = style.drawn("heatmap")
        self.square = square_of(style, height)
        unit = height / HEIGHT
        self.figure = make_figure(self.width / unit, self.height / unit, 100 * unit)
        self.axes = add_heatmap(self.figure, (self.width, self.height), 0, episode, method, norm, style)
        self.figure.canvas.draw()
        self._buffer = np.asarray(self.figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
        self._frame = _frame(self.axes)
        table = color_table(style.colormap)
        opaque = np.full((len(table), 1), 255, dtype=np.uint8)
        self._packed = np.ascontiguousarray(np.hstack([table, opaque])).view(np.uint32)[:, 0]
        self._began = False

    def draw(self, view: StepView) -> Frame:
        """One step."""
        left, top, side = self.square
        inside = self._buffer.view(np.uint32)[top : top + side, left : left + side, 0]
        inside[:] = np.take(self._packed, color_indices(view.scores, view.norm, side, side))
        draw_artists(self.axes, [*artists(self.overlays, self.axes, view), *self._frame])
        began, self._began = self._began, True
        return Frame(self._buffer, (left, top, left + side, top + side)) if began else Frame.whole(self._buffer)

    def data_to_pixel(self, x: float, y: float) -> tuple[float, float]:
        """(column, row) in the frame of an action (x, y) [px of the environment]; pixel centres are at .5."""
        left, top, side = self.square
        return left + x / WORLD_SIZE * side, top + y / WORLD_SIZE * side


def artists(overlays: Sequence[Overlay], axes: Axes, view: StepView) -> list[Artist]:
    """What the overlays draw at a view."""
    return [artist for overlay in overlays for artist in overlay.draw(axes, view)]


def draw_artists(axes: Axes, drawn: Sequence[Artist]) -> None:
    """Draw into the axes' canvas at once."""
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined, union-attr]
    for artist in drawn:
        artist.draw(renderer)


def _frame(axes: Axes) -> list[Artist]:
    # The axes' spines, over which the scores and overlays have gone.
    ends = {"left": ((0, 0), (0, 1)), "right": ((1, 0), (1, 1)), "bottom": ((0, 0), (1, 0)), "top": ((0, 1), (1, 1))}
    shown = [name for name in ends if axes.spines[name].get_visible()]
    if not shown:
        return []
    lines = [Path(np.array(ends[name], dtype=float)) for name in shown]
    like = axes.spines[shown[0]]
    frame = HaloLines(lines, like.get_edgecolor(), like.get_linewidth(), edge=0)
    frame.set_transform(axes.transAxes)
    frame.set_snap(None)  # to whole pixels, as spines are
    return [place(axes, frame)]  # clipped: outside the axes it is still there
