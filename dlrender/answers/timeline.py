"""A timeline: where the policy would go during an episode, how undecided it is, and how surprised by what was done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlrender.answers.charts import Chart, chart_figure, chart_style, colors, legend_above, muted, plot_panel, shades
from dlrender.answers.points import only_taken
from dlrender.answers.steps import Episode
from dlrender.answers.table import Table, density_of, plain_rows, step_table
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.mixture import Mixture

UNIFORM = float(np.log(WORLD_SIZE**2))  # nats: the surprise under a uniform density
BINS = 256  # of a marginal
DENSITIES = (1e-5, 0.1)  # 1/px: ends of the colours


@dataclass(frozen=True)
class Timeline:
    """The step table of an episode, marginals (T, 2, BINS) [1/px] along x and y, and the policy's own draws with their ranks.

    draws: (T, M, 2) px; ranks: (T, M), or None where the cache has none.
    """

    table: Table
    marginals: Array
    draws: Array
    ranks: Array | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the rows of the table."""
        return {"steps": plain_rows(self.table)}


def read_timeline(cache: EpisodeCache | str | Path, method: str | None = None) -> Timeline:
    """The timeline of a cache, open or by its path."""
    if not isinstance(cache, EpisodeCache):
        with open_cache(cache) as opened:
            return read_timeline(opened, method)
    name, rows = density_of(cache, method), np.flatnonzero(cache.done)
    marginals = np.stack([marginals_of(cache.mixture(name, int(row))) for row in rows])
    ranks = Episode(cache, name).own_ranks
    draws = cache.predicted_chunks[rows][:, :, cache.current]
    return Timeline(step_table(cache, method=name), marginals, draws, None if ranks is None else ranks[rows])


def marginals_of(mixture: Mixture) -> Array:
    """(2, BINS) densities [1/px] of x and of y at the bins' centres, of mean 1 / WORLD_SIZE where all mass is inside.

    Sums of the components' marginals; the floor of the mixture is left out, and what a box cuts off is made up for.
    """
    pieces, centres = mixture.pieces, (np.arange(BINS) + 0.5) * WORLD_SIZE / BINS
    found = np.empty((2, BINS))
    for axis in (0, 1):
        deviation = np.sqrt(pieces.covariance[:, axis, axis])
        away = (centres[:, None] - pieces.mean[:, axis]) / deviation
        found[axis] = np.exp(-0.5 * away**2) @ (pieces.weight[:, 0] / deviation) / np.sqrt(2 * np.pi)
        if mixture.box is not None:
            inside = (centres >= mixture.box[0, axis]) & (centres <= mixture.box[1, axis])
            found[axis] = np.where(inside, found[axis], 0)
            found[axis] *= BINS / WORLD_SIZE / max(found[axis].clip(0).sum(), 1e-9)
    return found.clip(0)


def plot_timeline(cache: Any, ax: Axes | None = None, *, panel: str = "surprise", method: str | None = None) -> Any:
    """Draw one panel (x, y, area, surprise, rank or plans) into `ax`, or the whole figure; the Axes or the Figure."""
    data = cache if isinstance(cache, Timeline) else read_timeline(cache, method)
    return timeline_figure(data, Style()) if ax is None else plot_panel(TIMELINE, data, ax, panel)


def timeline_figure(data: Timeline, style: Style, width: float | None = None) -> Figure:
    """The whole figure; the time axis is shared."""
    with chart_style(style):
        figure = chart_figure(TIMELINE, data, style, width)
        for axes in figure.axes[: len(TIMELINE.panels) - 1]:
            axes.sharex(figure.axes[len(TIMELINE.panels) - 1])
            axes.tick_params(labelbottom=False)
            axes.set_xlabel("")
        figure.axes[0].set_xlim(*_edges(data)[[0, -1]])
        return figure


def _edges(data: Timeline) -> Array:
    # (T + 1,) s: each step is shown about its time.
    time = data.table["time"]
    step = float(np.median(np.diff(time))) if len(time) > 1 else 0.1
    edges: Array = np.concatenate([time - step / 2, [time[-1] + step / 2]])
    return edges


def _place(axis: int) -> Any:
    def draw(ax: Axes, data: Timeline) -> None:
        time, name = data.table["time"], "xy"[axis]
        values = np.maximum(data.marginals[:, axis].T, DENSITIES[0])
        mesh = ax.pcolormesh(_edges(data), np.linspace(0, WORLD_SIZE, BINS + 1), values, cmap=shades(), norm=LogNorm(*DENSITIES),
                             rasterized=True)  # fmt: skip
        dots = np.repeat(time, data.draws.shape[1]), data.draws[:, :, axis].ravel()
        ax.plot(*dots, ".", color=colors()["orange"], markersize=1.6, label="own draws")
        ax.plot(time, data.table[name], color=colors()["red"], label="recorded")
        shown = np.flatnonzero((data.marginals[:, axis] > 10 * DENSITIES[0]).any(axis=0)) * WORLD_SIZE / BINS
        low = min(shown.min(initial=WORLD_SIZE), data.table[name].min()) - 10
        ax.set(ylim=(max(shown.max(initial=0), data.table[name].max()) + 10, low), ylabel=f"action {name} [px]")
        if axis == 0:
            ax.set_title("Where it would go")
            legend_above(ax, 2)
        bar = ax.figure.colorbar(mesh, ax=ax, pad=0.01, aspect=12)
        bar.set_label("density [1/px]")

    return draw


def draw_area(ax: Axes, data: Timeline) -> None:
    """How undecided: the effective area, and those of the 50 to 95 % regions."""
    table = data.table
    blue = colors()["blue"]
    ax.fill_between(table["time"], table["area_50"], table["area_95"], color=blue, alpha=0.2, linewidth=0,
                    label="50 to 95 % regions")  # fmt: skip
    ax.plot(table["time"], table["effective_area"], color=blue, label="exp(entropy)")
    ax.set(yscale="log", ylabel="area [px²]", title="How undecided it is")
    legend_above(ax, 2)


def draw_surprise(ax: Axes, data: Timeline) -> None:
    """Surprise with its estimated error, beside the entropy."""
    table, red = data.table, colors()["red"]
    surprise = only_taken(table["surprise"], table["surprise"])
    low, high = (surprise + sign * np.nan_to_num(table["surprise_error"]) for sign in (-1, 1))
    ax.fill_between(table["time"], low, high, color=red, alpha=0.2, linewidth=0)
    ax.plot(table["time"], surprise, color=red, label="recorded ± error")
    ax.plot(table["time"], table["entropy"], color=colors()["blue"], label="entropy")
    ax.axhline(UNIFORM, color=muted(), linestyle="--", linewidth=0.8)
    ax.annotate("uniform", (0, UNIFORM), (3, -2), ("axes fraction", "data"), "offset points", color=muted(), va="top",
                fontsize="small")  # fmt: skip
    ax.set(ylabel="surprise [nats]", title="How surprised it is", xlabel="time [s]")
    legend_above(ax, 2)


def draw_rank(ax: Axes, data: Timeline) -> None:
    """Ranks of the recorded actions, those outside the 95 % region in red, over the ranks of the policy's own draws."""
    table, outside = data.table, data.table["rank"] > 0.95
    if data.ranks is not None:
        time = np.repeat(table["time"], data.ranks.shape[1])
        ax.plot(time, data.ranks.ravel(), ".", color=muted(), markersize=1.8, label="own draws")
    ax.axhspan(0.95, 1, color=colors()["red"], alpha=0.15, linewidth=0)
    ax.plot(
        table["time"][~outside], table["rank"][~outside], "o", color=colors()["blue"], markersize=3, label="recorded"
    )
    ax.plot(
        table["time"][outside], table["rank"][outside], "o", color=colors()["red"], markersize=3, label="beyond 95 %"
    )
    ax.set(ylim=(-0.03, 1.03), ylabel="rank", title="How far from the peak", xlabel="time [s]")
    legend_above(ax, 3)


def draw_plans(ax: Axes, data: Timeline) -> None:
    """How far successive plans are apart."""
    ax.axhline(0, color=muted(), linewidth=0.8)
    ax.plot(data.table["time"], data.table["chunk_distance"], color=colors()["purple"])
    ax.set(ylabel="distance [px]", title="How far it changes its plan", xlabel="time [s]")
    if np.isnan(data.table["chunk_distance"]).all():
        ax.set_yticks([])
        ax.text(0.5, 0.6, "known where successive steps are scored", transform=ax.transAxes, color=muted(), ha="center")


TIMELINE = Chart(
    {"x": _place(0), "y": _place(1), "area": draw_area, "surprise": draw_surprise, "rank": draw_rank, "plans": draw_plans},
    [["x"], ["y"], ["area"], ["surprise"], ["rank"], ["plans"]],
    aspect=1.2,
    least_height=8.0,
    heights=(1.5, 1.5, 1, 1.1, 1, 0.8),
)  # fmt: skip
