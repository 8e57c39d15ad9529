"""Figures for a paper, of one step or a sheet of several: png, or pdf and svg with vector overlays and editable text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrender import panels
from dlrender.errors import RenderError
from dlrender.heatmap import Norm, make_norm
from dlrender.render import Style, describe, pick_method
from dlrender.video import whole_file
from dlscore.cache import EpisodeCache, read_episode
from dlscore.grid import ACTION_SPAN

STILLS = (".png", ".pdf", ".svg")
COLUMNS = (1, 12)


def save_still(file: Path, step: int, path: Path, style: Style, *, environment: bool = False) -> Path:
    """One step's heatmap, or the environment and the heatmap beside it."""
    _check_name(path)
    with read_episode(file) as episode:
        method = pick_method(episode, style.scoring_method)
        _check_step(episode, step)
        (norm,) = _norms(episode, [step], method, style)
        return _save(_still_figure(episode, step, method, norm, style, environment), path, episode, method, style)


def save_sheet(
    file: Path, steps: Sequence[int], path: Path, style: Style, *, environment: bool = True, columns: int = 6
) -> Path:
    """A contact sheet: a column a step, environment over heatmap, one scale and one legend for all."""
    _check_name(path)
    if not COLUMNS[0] <= columns <= COLUMNS[1]:
        raise RenderError(f"--columns {columns} is not allowed; choose from {COLUMNS[0]} to {COLUMNS[1]}")
    with read_episode(file) as episode:
        method = pick_method(episode, style.scoring_method)
        for step in steps:
            _check_step(episode, step)
        norms = _norms(episode, steps, method, style)
        return _save(
            _sheet_figure(episode, steps, method, norms, style, environment, columns), path, episode, method, style
        )


def _check_name(path: Path) -> None:
    if path.suffix not in STILLS:
        raise RenderError(f"still {path} has no known format; end its name in {', '.join(STILLS)}")


def _check_step(episode: EpisodeCache, step: int) -> None:
    if not 0 <= step < episode.steps:
        raise RenderError(f"step {step} is not in {episode.path}; it has steps 0 to {episode.steps - 1}")


def _norms(episode: EpisodeCache, steps: Sequence[int], method: str, style: Style) -> list[Norm]:
    # One for all steps, or with "frame" one for each.
    alone = style.norm == "frame"
    made = [
        make_norm(style.norm, [episode], method, style.range_nats, step if alone else None, style.limits)
        for step in (steps if alone else steps[:1])
    ]
    return made if alone else made * len(steps)


def parse_steps(text: str) -> list[int]:
    """Steps of `0,20,40`; RenderError if it is no such list."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise RenderError(f"--steps {text!r} is not understood; write such as 0,20,40")
    return [int(part) for part in parts]


def _save(figure: Any, path: Path, episode: EpisodeCache, method: str, style: Style) -> Path:
    import matplotlib

    described = describe(episode, method, style, [path])
    title = f"episode {episode.episode}, {method}"
    # pdf has fixed keys, of which Subject is free text; png and svg name theirs otherwise.
    note = json.dumps({**described["run"], **described["style"]}, sort_keys=True)
    keys = {".pdf": "Subject", ".png": "Comment", ".svg": "Description"}
    metadata = {"Title": title, keys[path.suffix]: note}
    # Editable text: TrueType in pdf, characters in svg.
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none"}), whole_file(path) as part:
        figure.savefig(part, format=path.suffix[1:], metadata=metadata)
    return path


def _still_figure(episode: EpisodeCache, step: int, method: str, norm: Norm, style: Style, environment: bool) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panel, height = panels.SHAPE
    left, top, side = panels.SQUARE
    width = panel + (height if environment else 0)
    figure = Figure(figsize=(width / 100, height / 100), dpi=200)
    FigureCanvasAgg(figure)
    if environment:
        _draw_environment(figure.add_axes((0, 0, height / width, 1)), episode, step)

    def place(x: float, side_x: float) -> Any:
        return figure.add_axes(((width - panel + x) / width, 1 - (top + side) / height, side_x / width, side / height))

    axes = place(left, side)
    handles = _draw_scores(axes, episode, step, method, norm, style)
    panels.decorate(axes, f"{method}, episode {episode.episode}, step {step}")
    panels.add_colorbar(figure, place(left + side + 14, 14), style.colormap, norm, episode.score_attrs(method))
    panels.add_legend(figure, handles, anchor=1 - panel / width / 2)
    return figure


def _draw_environment(axes: Any, episode: EpisodeCache, step: int) -> None:
    axes.imshow(episode.frame(step), extent=(0, ACTION_SPAN, ACTION_SPAN, 0))
    axes.set_axis_off()


def _draw_scores(
    axes: Any, episode: EpisodeCache, step: int, method: str, norm: Norm, style: Style, scale: float = 1.0
) -> list[Any]:
    # The heatmap and its overlays; the handles of the legend.
    axes.imshow(norm.prepare(episode.score(method, step)), cmap=style.colormap, norm=norm.of_matplotlib(),
                extent=(0, ACTION_SPAN, ACTION_SPAN, 0), interpolation="bilinear")  # fmt: skip
    handles: list[Any] = []
    for overlay in style.make_overlays(scale):
        for artist in overlay.draw(axes, episode, step, method):
            axes.add_artist(artist)
        handles += overlay.legend(episode, method)
    return handles


def _sheet_figure(
    episode: EpisodeCache,
    steps: Sequence[int],
    method: str,
    norms: Sequence[Norm],
    style: Style,
    environment: bool,
    columns: int,
) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cell, gap, left, right, top = 2.0, 0.08, 0.55, 0.85, 0.3  # inches
    columns = min(columns, len(steps))
    rows = -(-len(steps) // columns)
    block = (2 if environment else 1) * cell + (gap if environment else 0) + top  # one row of steps
    width = left + columns * (cell + gap) + right
    marks = max(1, int(width / 1.5))  # of the legend, in a row
    height = rows * block + 0.45 + 0.18 * -(-len(style.overlays) // marks)
    figure = Figure(figsize=(width, height), dpi=200)
    FigureCanvasAgg(figure)

    def place(x: float, y: float, w: float, h: float) -> Any:
        return figure.add_axes((x / width, 1 - (y + h) / height, w / width, h / height))

    handles: list[Any] = []
    for n, (step, norm) in enumerate(zip(steps, norms, strict=True)):
        row, column = divmod(n, columns)
        x, y = left + column * (cell + gap), row * block + top
        if environment:
            world = place(x, y, cell, cell)
            _draw_environment(world, episode, step)
            world.set_title(f"step {step}", fontsize=9, pad=3)
            y += cell + gap
        axes = place(x, y, cell, cell)
        handles = _draw_scores(axes, episode, step, method, norm, style, scale=0.6)  # the cells are small
        panels.decorate(axes, "" if environment else f"step {step}")
        axes.set_xticks([0, 256, 512])
        axes.set_yticks([0, 256, 512])
        first, _, last = axes.get_xticklabels()
        first.set_ha("left")  # so that it does not meet its neighbour's last
        last.set_ha("right")
        if column:
            axes.set(ylabel="", yticklabels=[])
        below = n + columns < len(steps)
        if below:
            axes.set(xlabel="", xticklabels=[])
    alike = len(set(norms)) == 1  # else every heatmap has a scale of its own, and the bar names only its ends
    bar = place(left + columns * (cell + gap) + 0.05, top + (cell + gap if environment else 0), 0.12, cell)
    panels.add_colorbar(figure, bar, style.colormap, norms[0] if alike else None, episode.score_attrs(method))
    panels.add_legend(figure, handles, columns=min(marks, len(handles)))
    return figure
