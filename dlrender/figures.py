"""Figures for a paper, of one step or a sheet of several: png, or pdf and svg with vector overlays and editable text.

They are drawn by matplotlib alone, from the same style as the videos.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.colors import Norm
from dlrender.errors import RenderError
from dlrender.frames import axes as chrome
from dlrender.frames.panels import view_step
from dlrender.metadata import describe_render
from dlrender.output import pick_methods
from dlrender.overlays import StepView
from dlrender.style.style import Style
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.common.files import atomic_path
from dlscore.common.world import WORLD_SIZE

STILLS = (".png", ".pdf", ".svg")
COLUMNS = (1, 12)
Norms = dict[str, Norm | None]


def save_still(
    file: Path, step: int, path: Path, style: Style, *, methods: Sequence[str] = (), environment: bool = False
) -> Path:
    """One step's heatmap, or several methods' side by side, and the environment beside them."""
    _check_name(path)
    with open_cache(file) as episode, style.active():
        methods = pick_methods(episode, methods)
        _check_step(episode, step)
        views = [_moment(episode, step, method, style) for method in methods]
        return _save(still_figure(views, style, environment), path, episode, methods, style)


def save_sheet(
    file: Path,
    steps: Sequence[int],
    path: Path,
    style: Style,
    *,
    methods: Sequence[str] = (),
    environment: bool = True,
    columns: int = 6,
) -> Path:
    """A contact sheet: a column a step, environment over each method's heatmap, one scale a method and one legend for all."""
    _check_name(path)
    if not COLUMNS[0] <= columns <= COLUMNS[1]:
        raise RenderError(f"--columns {columns} is not allowed; choose from {COLUMNS[0]} to {COLUMNS[1]}")
    with open_cache(file) as episode, style.active():
        methods = pick_methods(episode, methods)
        for step in steps:
            _check_step(episode, step)
        shared: Norms = {method: None if style.alone else style.make_norm([episode], method) for method in methods}
        views = [[view_step(episode, step, method, shared[method], style) for method in methods] for step in steps]
        figure = sheet_figure(views, shared, style, environment, columns)
        return _save(figure, path, episode, methods, style)


def parse_steps(text: str) -> list[int]:
    """Steps of `0,20,40`; RenderError if it is no such list."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise RenderError(f"--steps {text!r} is not understood; write such as 0,20,40")
    return [int(part) for part in parts]


def still_figure(views: Sequence[StepView], style: Style, environment: bool) -> Figure:
    """The heatmaps of one step's methods, and the environment to their left: a video's frame, drawn wholly by matplotlib."""
    first = views[0]
    panel, height = chrome.width_of(style), chrome.HEIGHT
    start = height if environment else 0
    size = start + panel * len(views), height
    figure = chrome.make_figure(*size, dpi=style.dpi)
    if environment:
        _draw_environment(chrome.add_environment(figure, size, 0, 0, height), first, style)
    for n, each in enumerate(views):
        axes = chrome.add_heatmap(figure, size, start + n * panel, each.episode, each.method, each.norm, style)
        chrome.draw_scores(axes, each)
        chrome.draw_overlays(axes, each, style, "heatmap")
    return figure


def sheet_figure(
    steps: Sequence[Sequence[StepView]], shared: Norms, style: Style, environment: bool, columns: int
) -> Figure:
    """Rows of steps; in each, the environment over the methods' heatmaps."""
    larger = style.fonts.labels / 8.5  # than the default style's, and so is the room around the cells
    side, gap, left, right, top, bottom = 200.0, 8.0, 55 * larger, 85 * larger, 30 * larger, 60 * larger  # px
    small = 0.6  # of their size are the overlays' points, since the cells are small
    methods, columns = list(shared), min(columns, len(steps))
    rows, parts = -(-len(steps) // columns), len(methods) + environment
    block = parts * (side + gap) + top
    size = left + columns * (side + gap) + right, rows * block + bottom
    figure = chrome.make_figure(*size, dpi=style.dpi)
    axes = None
    for n, views in enumerate(steps):
        row, column = divmod(n, columns)
        x, y = left + column * (side + gap), row * block + top
        title = f"step {views[0].step}"
        if environment:
            world = chrome.add_environment(figure, size, x, y, side)
            _draw_environment(world, views[0], style, small)
            world.set_title(title, fontsize=style.fonts.ticks + 1, pad=3)
            title, y = "", y + side + gap
        for each in views:
            axes = chrome.add_axes(figure, size, x, y, side, side)
            chrome.decorate(axes, style, title)
            if len(methods) > 1 and style.layout.axis_labels:
                axes.set_ylabel(f"{each.method}: y [px]")
            last = each is views[-1] and n + columns >= len(steps)
            _sheet_ticks(axes, style, outer_left=column == 0, outer_bottom=last)
            chrome.draw_scores(axes, each)
            chrome.draw_overlays(axes, each, style, "heatmap", small)
            if n == columns - 1 and style.layout.colorbar:  # beside the first row's last
                bar = chrome.add_axes(figure, size, x + side + gap + 5, y, 12, side)
                chrome.add_colorbar(figure, bar, style, shared[each.method], each.episode.score_attrs(each.method))
            title, y = "", y + side + gap
    if style.layout.legend and axes is not None:
        first = steps[0][0].episode
        every = [handle for method in methods for handle in chrome.handles_of(style, first, method)]
        handles = {handle.get_label(): handle for handle in every}  # what means the same in all methods, once
        chrome.add_legend(figure, axes, list(handles.values()), style, 0, 1)
    return figure


def _sheet_ticks(axes: Axes, style: Style, *, outer_left: bool, outer_bottom: bool) -> None:
    # Numbers at the outer edges only, and few, so that no two meet.
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


def _draw_environment(axes: Axes, view: StepView, style: Style, scale: float = 1.0) -> None:
    axes.imshow(view.episode.frame(view.step), extent=(0, WORLD_SIZE, WORLD_SIZE, 0), origin="upper")
    chrome.draw_overlays(axes, view, style, "environment", scale)


def _moment(episode: EpisodeCache, step: int, method: str, style: Style) -> StepView:
    return view_step(episode, step, method, style.make_norm([episode], method, step), style)


def _check_name(path: Path) -> None:
    if path.suffix not in STILLS:
        raise RenderError(f"still {path} has no known format; end its name in {', '.join(STILLS)}")


def _check_step(episode: EpisodeCache, step: int) -> None:
    if not 0 <= step < episode.steps:
        raise RenderError(f"step {step} is not in {episode.path}; it has steps 0 to {episode.steps - 1}")


def _save(figure: Figure, path: Path, episode: EpisodeCache, methods: Sequence[str], style: Style) -> Path:
    described = describe_render(episode, methods, style, [path])
    title = f"episode {episode.episode}, {', '.join(methods)}"
    # pdf has fixed keys, of which Subject is free text; png and svg name theirs otherwise.
    note = json.dumps({**described["run"], **described["style"]}, sort_keys=True)
    keys = {".pdf": "Subject", ".png": "Comment", ".svg": "Description"}
    metadata: dict[str, Any] = {"Title": title, keys[path.suffix]: note}
    # Editable text: TrueType in pdf, characters in svg.
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}), atomic_path(path, RenderError) as part:
        # The ground is the figure's own: sheets may give what is saved another one.
        figure.savefig(part, format=path.suffix[1:], dpi=style.dpi, metadata=metadata, facecolor=figure.get_facecolor())
    return path
