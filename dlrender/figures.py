"""Figures for a paper, of one step or a sheet of several: png, or pdf and svg with vector overlays and editable text.

matplotlib draws them, from the same style as the videos.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dlrender.errors import RenderError
from dlrender.frames.axes import (
    HEIGHT,
    add_environment,
    add_heatmap,
    draw_environment,
    draw_overlays,
    draw_scores,
    environment_square,
    environment_width,
    make_figure,
    mark_window,
    set_window,
    width_of,
)
from dlrender.frames.legend import add_legend, handles_of
from dlrender.frames.panels import view_step
from dlrender.metadata import describe_render
from dlrender.output import pick_methods
from dlrender.overlays import Overlay, StepView
from dlrender.sheets import sheet_figure, still_of_size
from dlrender.style.style import Style
from dlrender.window import Window
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.files import atomic_path

SUFFIXES = (".png", ".pdf", ".svg")
MATPLOTLIBS = {".png": ("Software",), ".pdf": ("Creator", "Producer", "CreationDate"), ".svg": ("Creator", "Date")}
COLUMNS = (1, 12)
MOST = 1000  # steps of one range


def save_still(
    file: Path,
    step: int,
    path: Path,
    style: Style,
    *,
    methods: Sequence[str] = (),
    environment: bool = False,
    provenance: bool = True,
) -> Path:
    """Save one step: its heatmap, or those of several methods side by side, and the environment to their left."""
    _check_name(path)
    with open_cache(file) as cache, style.active():
        methods = pick_methods(cache, methods)
        return _save(make_still(cache, step, style, methods, environment), path, cache, methods, style, provenance)


def save_sheet(
    file: Path,
    steps: Sequence[int],
    path: Path,
    style: Style,
    *,
    methods: Sequence[str] = (),
    environment: bool = True,
    columns: int = 6,
    provenance: bool = True,
) -> Path:
    """Save several steps in one figure, with one scale per method and one legend."""
    _check_name(path)
    check_columns(columns)
    with open_cache(file) as cache, style.active():
        methods = pick_methods(cache, methods)
        return _save(
            make_sheet(cache, steps, style, methods, environment, columns), path, cache, methods, style, provenance
        )


def make_still(cache: EpisodeCache, step: int, style: Style, methods: Sequence[str], environment: bool) -> Figure:
    """The figure of one step; call it within `style.active()`."""
    (window,) = style.make_windows(cache, methods, [check_step(cache, step)])
    return still_figure([view_alone(cache, step, method, style, window) for method in methods], style, environment)


def make_sheet(
    cache: EpisodeCache, steps: Sequence[int], style: Style, methods: Sequence[str], environment: bool, columns: int
) -> Figure:
    """The figure of several steps; call it within `style.active()`."""
    if not len(steps):
        raise RenderError("a sheet of no steps is not allowed; name one or more, such as 0,20,40")
    chosen = [check_step(cache, step) for step in steps]
    norms = {method: None if style.per_frame else style.make_norm([cache], method) for method in methods}
    windows = style.make_windows(cache, methods, chosen)
    views = [
        [view_step(cache, row, method, norms[method], style, window) for method in methods]
        for row, window in zip(chosen, windows, strict=True)
    ]
    return sheet_figure(views, norms, style, environment, columns)


def view_alone(cache: EpisodeCache, step: int, method: str, style: Style, window: Window | None = None) -> StepView:
    """A step that is drawn on its own, with the scale and the window that the style gives it."""
    row = check_step(cache, step)
    return view_step(cache, row, method, style.make_norm([cache], method, row), style, window)


def still_figure(views: Sequence[StepView], style: Style, environment: bool, moving: bool = False) -> Figure:
    """The heatmaps of one step, and the environment to their left: a video's frame, or a figure of the style's width.

    moving: without ticks, as in a frame whose window moves.
    """
    if style.size is not None:
        return still_of_size(views, style, environment, style.size)
    width = width_of(style)
    start = environment_width(style) if environment else 0
    size = start + width * len(views), HEIGHT
    figure = make_figure(*size, dpi=style.dpi)
    drawn: list[Overlay] = []
    if environment:
        world = add_environment(figure, size, *environment_square(style))
        draw_environment(world, views[0])
        drawn += draw_overlays(world, views[0], style, "environment")
        if not views[0].window.is_whole:
            world.add_artist(mark_window(world, views[0]))
    for n, view in enumerate(views):
        axes = add_heatmap(
            figure, size, start + n * width, view.cache, view.method, view.norm, style, None if moving else view.window
        )
        set_window(axes, view.window)
        draw_scores(axes, view, style)
        drawn += draw_overlays(axes, view, style, "heatmap")
    if style.layout.legend:
        seen = [overlay for overlay in style.drawn() if overlay in drawn]
        handles = handles_of(seen, views[0].cache, [view.method for view in views])
        add_legend(figure, axes, handles, style, start / size[0], 1, style.dpi / 100)
    return figure


def parse_steps(text: str) -> list[int]:
    """The steps of `0-20,40`, in that order; RenderError for any other text."""
    steps: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < first + MOST:
            raise RenderError(f"--steps {text!r} is not understood at {part!r}; write such as 0-20,40")
        steps += range(first, last + 1)
    return steps


def check_step(cache: EpisodeCache, step: int) -> int:
    """The row of a step of the episode; RenderError if the cache does not have it, as where each fifth was scored."""
    try:
        index = operator.index(step)
    except TypeError as error:
        raise RenderError(f"step {step!r} is not allowed; choose a whole number") from error
    every, last = cache.every, (cache.steps - 1) * cache.every
    if not 0 <= index <= last:
        stride = "" if every == 1 else f", 1 in {every}"
        raise RenderError(f"step {step} is not in {cache.path}; it has steps 0 to {last}{stride}")
    row, rest = divmod(index, every)
    if rest:
        raise RenderError(
            f"step {step} of {cache.path} was not scored; the nearest are {index - rest} and {index - rest + every}"
        )
    if not cache.done[row]:
        raise RenderError(f"step {step} of {cache.path} is not done yet; run dlscore compute again")
    return row


def check_columns(columns: int) -> None:
    """Raise RenderError for a number of steps side by side that a sheet cannot have."""
    if not COLUMNS[0] <= columns <= COLUMNS[1]:
        raise RenderError(f"--columns {columns} is not allowed; choose from {COLUMNS[0]} to {COLUMNS[1]}")


def _check_name(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise RenderError(f"figure {path} has no known format; end its name in {', '.join(SUFFIXES)}")


def _save(
    figure: Figure, path: Path, cache: EpisodeCache, methods: Sequence[str], style: Style, provenance: bool
) -> Path:
    described = describe_render(cache, methods, style, [path], provenance=provenance)
    title = f"episode {cache.episode}, {', '.join(methods)}"
    # pdf allows fixed keys only, of which Subject is free text; png and svg have others.
    note = json.dumps({**described["run"], **described["style"]}, sort_keys=True)
    keys = {".pdf": "Subject", ".png": "Comment", ".svg": "Description"}
    metadata: dict[str, Any] = {"Title": title, keys[path.suffix]: note}
    if not provenance:
        metadata |= dict.fromkeys(MATPLOTLIBS[path.suffix])  # None leaves out what matplotlib would write
    # Editable text: TrueType in pdf, characters in svg.
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}), atomic_path(path, RenderError) as part:
        # The figure's own background: sheets may set another one for saved files.
        figure.savefig(part, format=path.suffix[1:], dpi=style.dpi, metadata=metadata, facecolor=figure.get_facecolor())
    return path
