"""The Python interface: one step in your own axes, a sheet of several, and the videos.

Nothing here uses pyplot or changes rcParams. Only `render` writes files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.errors import RenderError
from dlrender.figures import check_columns, check_step, make_sheet, still_figure, view_alone
from dlrender.frames.axes import (
    HEIGHT,
    add_environment,
    draw_environment,
    draw_overlays,
    draw_scores,
    make_figure,
    set_ticks,
    set_world,
)
from dlrender.jobs import render_files
from dlrender.output import VIDEOS, Output, pick_methods
from dlrender.overlays import StepView
from dlrender.style.change import change_style, make_room, python_spelling
from dlrender.style.check import check_style
from dlrender.style.style import Style
from dlrender.style.toml import load_style
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common import progress as bars
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.cells import log_window_density
from dlscore.grid import RESOLUTIONS

Cache = EpisodeCache | str | Path  # an open cache, or its file


def plot_step(
    cache: Cache,
    step: int,
    ax: Axes | None = None,
    *,
    method: str | None = None,
    style: Style | str | Path = "default",
    environment: bool = False,
    **changes: Any,
) -> Axes:
    """Draw the heatmap of one step with its overlays into `ax`, or into a new figure with colour bar and legend.

    step: of the episode, also where not every step was scored. method: the scores; by default the only method in the cache, or
    the likelihood. style: a Style, the name of a bundled style, or a TOML file. changes: fields of Style, such as
    colormap="magma" or overlays=("contours",). environment: in a new figure, also draw the environment to the left (for your
    own axes there is `plot_environment`).

    Your own axes keep your rcParams and title; `ax.images[-1]` is the mappable for a colour bar. Returns the axes of the
    heatmap. RenderError names what cannot be drawn, CacheError what is wrong with the cache.
    """
    with _view(cache, step, method, style, changes, "plot_step") as (view, chosen):
        if ax is None:
            with chosen.active():
                figure = still_figure([view], chosen, environment)
                figure.draw_without_rendering()  # ticks get their style when they are first laid out
            return figure.axes[int(environment)]
        _check_axes(ax)
        if environment:
            raise RenderError(
                "plot_step: environment=True needs a new figure; use plot_environment with axes of its own"
            )
        set_world(ax, view.window)
        set_ticks(ax, chosen, view.window)
        if chosen.layout.axis_labels:
            ax.set(xlabel="x [px]", ylabel="y [px]")
        draw_scores(ax, view, chosen)
        draw_overlays(ax, view, chosen, "heatmap")
        return ax


def plot_environment(
    cache: Cache,
    step: int,
    ax: Axes | None = None,
    *,
    method: str | None = None,
    style: Style | str | Path = "default",
    **changes: Any,
) -> Axes:
    """Draw the environment at one step, with the overlays whose `panel` is "environment" or "both".

    Parameters and result are those of `plot_step`; the method matters only for overlays of the scores, such as landscape.
    """
    with _view(cache, step, method, style, changes, "plot_environment") as (view, chosen):
        if ax is None:
            with chosen.active():
                figure = make_figure(HEIGHT, HEIGHT, chosen.dpi)
                ax = add_environment(figure, (HEIGHT, HEIGHT), 0, 0, HEIGHT)
        _check_axes(ax)
        set_world(ax)
        ax.set(xticks=[], yticks=[])
        draw_environment(ax, view)
        draw_overlays(ax, view, chosen, "environment")
        return ax


def plot_sheet(
    cache: Cache,
    steps: Sequence[int],
    *,
    methods: str | Sequence[str] = (),
    style: Style | str | Path = "default",
    environment: bool = True,
    columns: int = 6,
    **changes: Any,
) -> Figure:
    """Draw several steps in a new figure, `columns` in a row: the environment above the heatmap of each method.

    Each method has one colour scale, and the figure one legend. The other parameters are those of `plot_step`. The figure
    is not known to pyplot: save it with `figure.savefig`.
    """
    chosen = _make_style(style, changes, "plot_sheet")
    with python_spelling(), _opened(cache) as opened, chosen.active():
        check_columns(columns)
        figure = make_sheet(opened, steps, chosen, pick_methods(opened, _names(methods)), environment, columns)
        figure.draw_without_rendering()
        return figure


def log_density(
    cache: Cache,
    step: int,
    points: Any = None,
    *,
    window: Sequence[float] = (0.0, 0.0, float(WORLD_SIZE)),
    resolution: int = 200,
    method: str | None = None,
) -> Array:
    """log p [nats / px²] of the current action at one step, from the density itself, not from the grid's scores.

    points: (..., 2) px, anywhere; the result is (...,). Without points: the mean over each of `resolution`² cells of a square
    `window` (left, top, side) [px], as (resolution, resolution) [y, x]. Where the policy clips its actions, log p outside
    is -1e6. CacheError if the method has no such density in the cache.
    """
    with python_spelling(methods="method"), _opened(cache) as opened:
        (name,) = pick_methods(opened, () if method is None else (method,))
        mixture = opened.mixture(name, check_step(opened, step))
    if points is not None:
        return mixture.log_density(points)
    left, top, side = window
    if not (side > 0 and RESOLUTIONS[0] <= resolution <= RESOLUTIONS[1]):
        low, high = RESOLUTIONS
        raise RenderError(
            f"log_density: window {tuple(window)} with resolution {resolution} is not allowed; give left, top and a side above "
            f"0 px, and {low} to {high} cells a side"
        )
    return log_window_density(mixture, (left, top), side, resolution)


def render(
    files: str | Path | Sequence[str | Path],
    *,
    output_dir: str | Path = "outputs",
    style: Style | str | Path = "default",
    methods: str | Sequence[str] = (),
    videos: str | Sequence[str] = VIDEOS,
    fps: float | None = None,
    format: str = "mp4",
    pix_fmt: str | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: bool = False,
    provenance: bool = True,
    **changes: Any,
) -> list[Path]:
    """Make the videos and the config of each cache, as `dlrender render` does; the paths written.

    videos: some of "environment", "heatmaps", "combined". jobs: so many episodes at a time; of one alone, so many
    processes, up to 4; None draws one after the other, each by a process a core, up to 4. Processes are forked, so only from a
    program of one thread: set OPENBLAS_NUM_THREADS=1 before numpy is imported. progress: show it on stderr. provenance: False
    leaves paths, names and dates out of the files. changes: fields of Style. Videos that are up to date are kept. A file that
    dlrender did not make raises RenderError unless `force` is true.
    """
    chosen = _make_style(style, changes, "render")
    paths = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    if not paths:
        raise RenderError("render: no files were given; name one or more caches, such as data/cache/episode_000.h5")
    output = Output(_names(methods), _names(videos), Path(output_dir), fps, format, pix_fmt, force, jobs, provenance)
    with python_spelling():
        return render_files(
            paths, chosen, output, (lambda name: bars.steps(name, "frames")) if progress else bars.silent
        )


@contextmanager
def _view(
    cache: Cache, step: int, method: str | None, style: Style | str | Path, changes: Mapping[str, Any], where: str
) -> Iterator[tuple[StepView, Style]]:
    chosen = _make_style(style, changes, where)
    with python_spelling(methods="method"), _opened(cache) as opened:
        (name,) = pick_methods(opened, () if method is None else (method,))
        yield view_alone(opened, step, name, chosen), chosen


def _make_style(style: Style | str | Path, changes: Mapping[str, Any], where: str) -> Style:
    if not isinstance(style, Style | str | Path):
        raise RenderError(f"{where}: style {style!r} is not allowed; give a Style, a bundled name or a TOML file")
    with python_spelling():
        base = style if isinstance(style, Style) else load_style(style)
        chosen = change_style(base, make_room(changes), where)
        check_style(chosen)
    return chosen


@contextmanager
def _opened(cache: Cache) -> Iterator[EpisodeCache]:
    if isinstance(cache, EpisodeCache):
        yield cache  # its owner closes it
    else:
        with open_cache(cache) as opened:
            yield opened


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _check_axes(ax: object) -> None:
    if not isinstance(ax, Axes) or ax.name != "rectilinear":
        kind = ax.name if isinstance(ax, Axes) else type(ax).__name__
        raise RenderError(f"ax is not allowed to be {kind}; give one rectilinear Axes, such as axes[0]")
