"""Figures of several panels at their final size: sheets of steps, and stills of a given width.

All panels share one legend, each method one colour scale, and axes side by side their labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from string import ascii_lowercase
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.colors import Norm
from dlrender.frames.arrange import Cell, arrange
from dlrender.frames.axes import (
    add_colorbar,
    decorate,
    draw_environment,
    draw_overlays,
    draw_scores,
    make_figure,
    mark_window,
    set_window,
    set_world,
    title_of,
)
from dlrender.frames.legend import handles_of, legend_below
from dlrender.overlays import Overlay, StepView
from dlrender.style.style import Style

SIDE, MARGINS = 2.0, 1.25  # in: of the squares of a sheet without a width, and what is beside them
READABLE = (7.0, 9.0)  # points: fonts of a figure of a given width
FULL = 3.86  # in: side of the square for which overlays have the lengths that the style gives
SMALLEST = 0.5  # of these lengths
SPARSE, DENSE = 256.0, 128.0  # px of the whole world between ticks of small axes
BESIDE, ROOMY = 1.1, 0.86  # in: what is beside the squares of a row, about; a side with room for labels of DENSE ticks


@dataclass(frozen=True)
class Panel:
    """What one square shows: the environment, or the scores of a view's method, and where it stands."""

    view: StepView
    row: int
    column: int
    is_world: bool = False
    title: str = ""
    letter: str = ""
    label: str = ""  # of the y axis, before "y [px]"
    norm: Norm | None = None
    bar: bool = False


def sheet_figure(
    steps: Sequence[Sequence[StepView]],
    norms: Mapping[str, Norm | None],
    style: Style,
    environment: bool,
    columns: int,
) -> Figure:
    """Rows of steps: the environment above the heatmaps of the methods, whose views `steps` holds for each step."""
    columns, parts = min(columns, len(steps)), len(norms) + environment
    looks: dict[str, Any] = dict(style.overlay)
    looks["counter"] = replace(looks["counter"], step=False)  # titles name the steps
    style = replace(style, overlay=looks)
    panels = []
    for n, views in enumerate(steps):
        row, column = n // columns * parts, n % columns
        letter = ascii_lowercase[n] if style.layout.letters and 1 < len(steps) <= len(ascii_lowercase) else ""
        if environment:
            panels.append(Panel(views[0], row, column, True, f"step {views[0].number}", letter))
        for part, view in enumerate(views, start=int(environment)):
            title, mark = ("", "") if part else (f"step {view.number}", letter)
            method = view.method if len(norms) > 1 else ""
            bar = style.bar and n == columns - 1  # right of the first row
            panels.append(Panel(view, row + part, column, False, title, mark, method, norms[view.method], bar))
    size = style.size or (columns * SIDE + MARGINS * style.fonts.labels / 8.5, None)
    return compose(panels, style, size)


def still_of_size(
    views: Sequence[StepView], style: Style, environment: bool, size: tuple[float, float | None]
) -> Figure:
    """One step: the environment and the heatmaps of the methods side by side, in a figure of a size in inches."""
    panels = [Panel(views[0], 0, 0, is_world=True)] if environment else []
    for column, view in enumerate(views, start=len(panels)):
        title = title_of(style, view.cache, view.method)
        panels.append(Panel(view, 0, column, title=title, norm=view.norm, bar=style.bar))
    return compose(panels, style, size)


def compose(panels: Sequence[Panel], style: Style, size: tuple[float, float | None]) -> Figure:
    """The figure of some panels. size: its width and, unless None, its height [in]."""
    if style.size is not None:
        low, high = READABLE
        fonts = {each.name: min(max(getattr(style.fonts, each.name), low), high) for each in fields(style.fonts)}
        style = replace(style, fonts=replace(style.fonts, **fonts))
    if style.layout.ticks:
        style = replace(style, layout=replace(style.layout, ticks=max(style.layout.ticks, _ticks(panels, size[0]))))
    figure = make_figure(100 * size[0], 100 * (size[1] or size[0]), dpi=style.dpi)
    cells = [_add_cell(figure, panel, panels, style) for panel in panels]
    side = arrange(figure, cells, *size)
    scale = max(SMALLEST, min(1.0, (side / FULL) ** 0.5))
    style = _readable(style, scale)
    drawn: list[Overlay] = []
    for panel, cell in zip(panels, cells, strict=True):
        if panel.is_world:
            draw_environment(cell.axes, panel.view)
        else:
            draw_scores(cell.axes, panel.view, style, scale)
        drawn += draw_overlays(cell.axes, panel.view, style, "environment" if panel.is_world else "heatmap", scale)
        if panel.is_world and not panel.view.window.is_whole:
            cell.axes.add_artist(mark_window(cell.axes, panel.view))
    if style.layout.legend:
        seen = [overlay for overlay in style.drawn(scale=scale) if overlay in drawn]
        methods = dict.fromkeys(panel.view.method for panel in panels)
        high = legend_below(figure, handles_of(seen, panels[0].view.cache, list(methods)), style.fonts.legend)
        arrange(figure, cells, *size, below=high)
    return figure


def _ticks(panels: Sequence[Panel], width: float) -> float:
    # Three or four ticks a side, in small squares two or three; numbers of the whole world have three digits, too.
    side = (width - BESIDE) / (1 + max(panel.column for panel in panels))
    whole = any(panel.view.window.is_whole for panel in panels)
    return SPARSE if whole or side < ROOMY else DENSE


def _add_cell(figure: Figure, panel: Panel, panels: Sequence[Panel], style: Style) -> Cell:
    axes, bar, fonts = figure.add_subplot(), None, style.fonts
    if panel.is_world:
        set_world(axes)
        axes.set_axis_off()
        axes.set_title(panel.title, fontsize=fonts.title, pad=3)
    else:
        same = all(each.view.window == panel.view.window for each in panels)
        decorate(axes, style, panel.title, panel.view.window if same else None)
        set_window(axes, panel.view.window)
        axes.set_title(panel.title, fontsize=fonts.title, pad=4)
        _share_labels(axes, panel, panels, fonts.labels)
        if panel.bar:
            bar = figure.add_subplot()
            add_colorbar(figure, bar, style, panel.norm, panel.view.cache, panel.view.method)
    if panel.letter:
        axes.set_title(panel.letter, loc="left", fontsize=fonts.title, fontweight="bold", pad=3)
    return Cell(axes, panel.row, panel.column, bar)


def _share_labels(axes: Axes, panel: Panel, panels: Sequence[Panel], fontsize: float) -> None:
    # Labels and numbers at the left and at the bottom of what is side by side; windows that differ have neither.
    heatmaps = [each for each in panels if not each.is_world]
    if any(each.row == panel.row and each.column < panel.column for each in heatmaps):
        axes.set(ylabel="", yticklabels=[])
    elif panel.label:
        named = f"{panel.label}: {axes.get_ylabel()}" if axes.get_ylabel() else panel.label
        axes.set_ylabel(named, fontsize=fontsize)
    if any(each.column == panel.column and each.row > panel.row for each in heatmaps):
        axes.set(xlabel="", xticklabels=[])


def _readable(style: Style, scale: float) -> Style:
    # Texts over the panels shrink with them, but not below what can be read.
    looks: dict[str, Any] = dict(style.overlay)
    for name, overlay in looks.items():
        if hasattr(overlay, "fontsize"):
            looks[name] = replace(overlay, fontsize=max(overlay.fontsize, READABLE[0] / scale))
    return replace(style, overlay=looks)
