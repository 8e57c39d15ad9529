"""Calibration: how the recorded actions, and the policy's own draws, lie among the regions of the density."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.answers.charts import Chart, chart_figure, chart_style, color_of, muted, plot_panel, short_names
from dlrender.answers.columns import LEVELS
from dlrender.answers.distinct import Key, check_distinct, key_of
from dlrender.answers.intervals import FEWEST, Interval, bootstrap, percentiles
from dlrender.answers.steps import Episode
from dlrender.answers.summary import ALPHAS, calibration_error
from dlrender.answers.table import density_of, step_table
from dlrender.errors import RenderError
from dlrender.style.style import Style
from dlscore.cache import open_cache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice

GROUPS = ("policy", "dataset")
BINS = 10  # of the histogram


@dataclass(frozen=True)
class Ranks:
    """Ranks of actions among highest-density regions, an array for each episode, under a label; own: the policy's own draws.

    weights: the steps of the episode that each rank stands for; one a rank without.
    """

    label: str
    episodes: Sequence[Array]
    own: bool
    weights: Sequence[Array] = ()

    @property
    def steps(self) -> int:
        """The number of ranks."""
        return sum(len(each) for each in self.episodes)

    def shares(self) -> Array:
        """(levels,) share inside the region of each of ALPHAS."""
        return _shares(self._totals().sum(axis=0))

    def band(self) -> tuple[Array, Array] | None:
        """Ends (levels,) of the 95 % interval of each of these shares; None for fewer than FEWEST episodes."""
        return percentiles(self._totals(), _shares) if len(self.episodes) >= FEWEST else None

    def error(self) -> Interval:
        """∫ |F(α) − α| dα."""
        return bootstrap(self._totals(), lambda totals: calibration_error(_shares(totals)))

    def mean(self) -> Interval:
        """The mean rank: ½ if calibrated."""
        return self._mean(self.episodes)

    def inside(self, level: float) -> Interval:
        """The share inside the region of one level."""
        return self._mean([each <= level for each in self.episodes])

    def frequencies(self, edges: Array) -> Array:
        """(bins,) of the ranks between edges, relative to even ones: 1 everywhere if calibrated."""
        weight = np.concatenate([weight for _, weight in self._weighted(self.episodes)])
        counts = np.histogram(np.concatenate(self.episodes), edges, weights=weight)[0]
        found: Array = counts / weight.sum() * (len(edges) - 1)
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "label": self.label, "own_draws": self.own, "episodes": len(self.episodes), "ranks": self.steps,
            "mean_rank": self.mean().as_dict(), "calibration_error": self.error().as_dict(),
            "inside": {f"{level:g}": self.inside(level).as_dict() for level in LEVELS},
        }  # fmt: skip

    def _mean(self, values: Sequence[Array]) -> Interval:
        totals = np.array([[weight @ each, weight.sum()] for each, weight in self._weighted(values)])
        return bootstrap(totals, lambda sums: sums[..., 0] / sums[..., 1])

    def _totals(self) -> Array:
        weighted = self._weighted([each[:, None] <= ALPHAS for each in self.episodes])
        return np.stack([np.append(weight @ each, weight.sum()) for each, weight in weighted])

    def _weighted(self, values: Sequence[Array]) -> list[tuple[Array, Array]]:
        weights = self.weights or [np.ones(len(each)) for each in values]
        return list(zip(values, weights, strict=True))


@dataclass(frozen=True)
class Calibration:
    """A row of ranks for each group of recorded actions, and after it one of the policy's own draws at the same steps."""

    rows: Sequence[Ranks]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"rows": [row.as_dict() for row in self.rows]}


def read_calibration(files: Sequence[Path], by: str = "policy", method: str | None = None) -> Calibration:
    """Ranks of the recorded actions, grouped by policy or dataset; RenderError for caches without ranks of own draws."""
    check_choice("--by", by, GROUPS, RenderError)
    check_distinct(files)
    groups: dict[str, dict[Key, list[tuple[tuple[Array, Array], int]]]] = {}
    for file in files:
        with open_cache(file) as cache:
            drawn_ranks = Episode(cache, density_of(cache, method)).own_ranks
            if drawn_ranks is None:
                raise RenderError(f"{file} has no ranks of the policy's own draws; compute it again")
            group = groups.setdefault(str(cache.attrs.get(by, "unknown")), {})
            recorded_ranks = step_table(cache, method=method, columns=["rank"])["rank"]
            ranked = recorded_ranks, drawn_ranks[cache.done].ravel()
            group.setdefault(key_of(cache), []).append((ranked, cache.every))
    names, rows = short_names(list(groups)), []
    for name, group in zip(names, groups.values(), strict=True):
        # An episode that several policies scored is one draw of the bootstrap.
        for k, label in enumerate((name, f"{name}: own draws")):
            ranks, weights = [], []
            for parts in group.values():
                ranks.append(np.concatenate([ranked[k] for ranked, _ in parts]))
                weights.append(np.concatenate([np.full(len(ranked[k]), every) for ranked, every in parts]))
            rows.append(Ranks(label, ranks, own=k == 1, weights=weights))
    return Calibration(rows)


def plot_calibration(
    files: Iterable[str | Path] | Calibration, ax: Axes | None = None, *, panel: str = "error", by: str = "policy"
) -> Any:
    """Draw one panel (error, ranks or regions) into `ax`, or the whole figure; the Axes or the Figure."""
    data = files if isinstance(files, Calibration) else read_calibration([Path(file) for file in files], by)
    return calibration_figure(data, Style()) if ax is None else plot_panel(CALIBRATION, data, ax, panel)


def calibration_figure(data: Calibration, style: Style, width: float | None = None) -> Figure:
    """The whole figure."""
    with chart_style(style):
        return chart_figure(CALIBRATION, data, style, width)


def draw_error(ax: Axes, data: Calibration) -> None:
    """The share inside the region of each level, less the level; bands are 95 % over episodes."""
    for k, row in enumerate(data.rows):
        label = f"{row.label} ({len(row.episodes)} ep., {row.steps})"
        ax.plot(ALPHAS, row.shares() - ALPHAS, color=_color(k), linestyle="--" if row.own else "-", label=label)
        if (band := row.band()) is not None:
            ax.fill_between(ALPHAS, band[0] - ALPHAS, band[1] - ALPHAS, color=_color(k), alpha=0.15, linewidth=0)
    ax.axhline(0, color=muted(), linewidth=0.8)
    reach = max(0.1, 1.1 * max(np.abs(row.shares() - ALPHAS).max() for row in data.rows))
    ax.set(ylim=(-1.6 * reach, 1.3 * reach), xlabel="level", ylabel="share inside − level", title="Coverage error")
    for y, text, va in ((0.98, "too wide", "top"), (0.22, "too narrow", "bottom")):
        ax.text(0.02, y, text, transform=ax.transAxes, color=muted(), va=va, fontsize="small")
    ax.legend(loc="lower left", borderaxespad=0, labelspacing=0.2)


def draw_ranks(ax: Axes, data: Calibration) -> None:
    """Histograms of the ranks, as densities: 1 everywhere if calibrated."""
    edges = np.linspace(0, 1, BINS + 1)
    for k, row in enumerate(data.rows):
        ax.stairs(row.frequencies(edges), edges, color=_color(k), linestyle="--" if row.own else "-", linewidth=1.3)
    ax.axhline(1, color=muted(), linewidth=0.8)
    ax.set(xlabel="rank", ylabel="relative frequency", title="Ranks", ylim=(0, None))


def draw_regions(ax: Axes, data: Calibration) -> None:
    """Shares in the 50, 80 and 95 % regions with their intervals, beside the levels."""
    for level in LEVELS:
        ax.axvline(level, color=muted(), linewidth=0.8, linestyle="--")
    for k, row in enumerate(data.rows):
        for level, place in zip(LEVELS, (k - 0.2, k, k + 0.2), strict=True):
            found = row.inside(level)
            if found.low is not None and found.high is not None:
                ax.plot([found.low, found.high], [place, place], color=_color(k), linewidth=1.3)
            ax.plot(found.value, place, "o", color=_color(k), mfc="none" if row.own else _color(k))
    ax.set(ylim=(len(data.rows) - 0.5, -0.5), yticks=[], xlabel="share inside", title="Inside 50, 80, 95 %")
    ax.set_xticks(LEVELS, [f"{100 * level:.0f} %" for level in LEVELS])
    ax.spines["left"].set_visible(False)


def _color(row: int) -> str:
    return color_of(row // 2)  # a group's recorded actions and own draws share a colour


def _shares(totals: Array) -> Array:
    found: Array = totals[..., :-1] / totals[..., -1:]
    return found


CALIBRATION = Chart(
    {"error": draw_error, "ranks": draw_ranks, "regions": draw_regions},
    [["error", "ranks", "regions"]],
    aspect=0.38,
    widths=(1.4, 1, 1),
)
