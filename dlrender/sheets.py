"""A sheet: several steps in one figure, with one scale per method and one legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.colors import Norm
from dlrender.frames.axes import (
    add_axes,
    add_colorbar,
    add_environment,
    decorate,
    draw_environment,
    draw_overlays,
    draw_scores,
    make_figure,
)
from dlrender.frames.legend import add_legend, handles_of
from dlrender.overlays import Overlay, StepView
from dlrender.style.style import Style
from dlscore.common.world import WORLD_SIZE

SIDE, GAP = 200.0, 8.0  # px of the square axes, and between them
SCALE = 0.6  # of lengths in points, since the axes are small


@dataclass(frozen=True)
class Geometry:
    """Positions in a sheet [px]: blocks of `parts` axes, one below the other, in rows of `columns` blocks."""

    blocks: int
    columns: int
    parts: int
    font: float  # size of the labels relative to the default style, which the margins follow

    @property
    def left(self) -> float:
        """Margin for the labels of the y axis."""
        return 55 * self.font

    @property
    def top(self) -> float:
        """Margin for the title of a block."""
        return 30 * self.font

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        rows = -(-self.blocks // self.columns)
        width = self.left + self.columns * (SIDE + GAP) + 85 * self.font
        return width, rows * (self.parts * (SIDE + GAP) + self.top) + 60 * self.font

    def corner(self, block: int, part: int) -> tuple[float, float]:
        """Left and top of one of the axes of a block."""
        row, column = divmod(block, self.columns)
        y = row * (self.parts * (SIDE + GAP) + self.top) + self.top + part * (SIDE + GAP)
        return self.left + column * (SIDE + GAP), y


def sheet_figure(
    steps: Sequence[Sequence[StepView]],
    norms: Mapping[str, Norm | None],
    style: Style,
    environment: bool,
    columns: int,
) -> Figure:
    """Rows of steps: the environment above the heatmaps of the methods, whose views `steps` holds for each step."""
    geometry = Geometry(len(steps), min(columns, len(steps)), len(norms) + environment, style.fonts.labels / 8.5)
    figure = make_figure(*geometry.size, dpi=style.dpi)
    drawn: list[Overlay] = []
    for n, views in enumerate(steps):
        if environment:
            world = add_environment(figure, geometry.size, *geometry.corner(n, 0), SIDE)
            draw_environment(world, views[0])
            drawn += draw_overlays(world, views[0], style, "environment", SCALE)
            world.set_title(f"step {views[0].step}", fontsize=style.fonts.ticks + 1, pad=3)
        for part, view in enumerate(views, start=int(environment)):
            label = f"{view.method}: y [px]" if len(norms) > 1 and style.layout.axis_labels else ""
            axes = _add_heatmap(figure, geometry, (n, part), view, style, label)
            drawn += draw_overlays(axes, view, style, "heatmap", SCALE)
            if n == geometry.columns - 1 and style.layout.colorbar:  # right of the first row
                x, y = geometry.corner(n, part)
                bar = add_axes(figure, geometry.size, x + SIDE + GAP + 5, y, 12, SIDE)
                add_colorbar(figure, bar, style, norms[view.method], view.cache.score_attrs(view.method))
    if style.layout.legend:
        seen = [overlay for overlay in style.drawn(scale=SCALE) if overlay in drawn]
        handles = handles_of(seen, steps[0][0].cache, list(norms))
        add_legend(figure, axes, handles, style, 0, 1, style.dpi / 100)
    return figure


def _add_heatmap(
    figure: Figure, geometry: Geometry, where: tuple[int, int], view: StepView, style: Style, label: str
) -> Axes:
    block, part = where
    axes = add_axes(figure, geometry.size, *geometry.corner(block, part), SIDE, SIDE)
    decorate(axes, style, "" if part else f"step {view.step}")
    if label:
        axes.set_ylabel(label)
    lowest = part == geometry.parts - 1 and block + geometry.columns >= geometry.blocks
    _set_ticks(axes, style, outer_left=block % geometry.columns == 0, outer_bottom=lowest)
    draw_scores(axes, view)
    return axes


def _set_ticks(axes: Axes, style: Style, *, outer_left: bool, outer_bottom: bool) -> None:
    # Few numbers, at the outer edges only, so that they do not overlap.
    if style.layout.ticks:
        ends = [0, WORLD_SIZE / 2, WORLD_SIZE]
        axes.set_xticks(ends)
        axes.set_yticks(ends)
        first, _, last = axes.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        top, _, low = axes.get_yticklabels()
        top.set_verticalalignment("top")
        low.set_verticalalignment("bottom")
    if not outer_left:
        axes.set(ylabel="", yticklabels=[])
    if not outer_bottom:
        axes.set(xlabel="", xticklabels=[])
