"""The figure of a comparison: maps of the step that differs most, distances step by step, and paired surprise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.figure import Figure

from dlrender.answers.charts import (
    Chart,
    chart_figure,
    chart_style,
    color_of,
    colors,
    diverging,
    muted,
    plot_panel,
    shades,
    short_names,
)
from dlrender.answers.compare import Comparison, read_comparison
from dlrender.answers.distinct import Key
from dlrender.answers.films import DENSITIES
from dlrender.answers.intervals import Interval, mean_known
from dlrender.answers.points import can_be_taken
from dlrender.answers.timeline import UNIFORM
from dlrender.style.style import Style
from dlscore.common.arrays import Array

TICKS = 6  # episodes that are named below their steps
REACH = 6.0  # in powers of 2, of the ratio of two densities


def plot_comparison(
    a: Sequence[Path] | Comparison, b: Sequence[Path] = (), ax: Axes | None = None, *, null: Sequence[Path] = (),
    panel: str = "steps",
) -> Any:  # fmt: skip
    """Draw one panel (a, b, ratio, steps, surprise or paired) into `ax`, or the whole figure; the Axes or the Figure."""
    data = a if isinstance(a, Comparison) else read_comparison(a, b, null)
    return comparison_figure(data, Style()) if ax is None else plot_panel(COMPARISON, data, ax, panel)


def comparison_figure(data: Comparison, style: Style, width: float | None = None) -> Figure:
    """The whole figure."""
    with chart_style(style):
        return chart_figure(COMPARISON, data, style, width)


def _density(which: str) -> Any:
    def draw(ax: Axes, data: Comparison) -> None:
        values = np.exp({"A": data.map.log_a, "B": data.map.log_b}[which])
        image = ax.imshow(values.clip(DENSITIES[0]), cmap=shades(), norm=LogNorm(*DENSITIES), extent=_extent(data))
        _mark(ax, data)
        ax.set_title(f"{which}: {_names(data)['AB'.index(which)]}")
        bar = ax.figure.colorbar(image, ax=ax, orientation="horizontal", pad=0.02, aspect=25, shrink=0.9, extend="both")
        bar.set_label("density [1/px²]")

    return draw


def draw_ratio(ax: Axes, data: Comparison) -> None:
    """log2 of B over A, clear where neither goes."""
    ratio = np.clip((data.map.log_b - data.map.log_a) / np.log(2), -REACH, REACH)
    clear = opacity(data.map.log_a, data.map.log_b)
    image = ax.imshow(ratio, cmap=diverging(), norm=TwoSlopeNorm(0, -REACH, REACH), extent=_extent(data), alpha=clear)
    _mark(ax, data)
    ax.set_title("Which of them goes there")
    ticks = [-6, -3, 0, 3, 6]
    bar = ax.figure.colorbar(image, ax=ax, orientation="horizontal", pad=0.02, aspect=25, shrink=0.9, ticks=ticks)
    bar.ax.set_xticklabels(["A 64×", "8×", "1", "8×", "B 64×"])
    bar.set_label("ratio of the densities")
    side = data.map.window[2]
    ax.set_xlabel(
        f"{side:.0f} px wide; episode {data.map.key[1]} step {data.map.step}", color=muted(), fontsize="small"
    )


def opacity(log_a: Array, log_b: Array) -> Array:
    """How much of a ratio of densities is shown, 0 to 1: none where neither goes."""
    mean = 0.5 * (np.exp(log_a) + np.exp(log_b))
    shown: Array = np.clip(np.log(mean.clip(1e-30) / DENSITIES[0]) / np.log(1e2), 0, 1)
    return shown


def draw_steps(ax: Axes, data: Comparison) -> None:
    """Total variation step by step over the estimates' own error, and that of the null."""
    start, ticks = 0, {}
    null_rows = {} if data.null is None else data.null.rows_of()
    names = _episodes(data)
    for key, rows in data.pairs.rows_of().items():
        places = start + np.arange(len(rows))
        ax.fill_between(places, data.pairs.columns["tv_error"][rows], color=muted(), alpha=0.3, linewidth=0,
                        label="within error" if start == 0 else None)  # fmt: skip
        ax.plot(places, data.pairs.columns["tv"][rows], color=colors()["blue"], label=None if start else "A, B")
        if data.null is not None and key in null_rows:
            null = null_rows[key]
            at = start + np.searchsorted(data.pairs.columns["step"][rows], data.null.columns["step"][null])
            ax.plot(at, data.null.columns["tv"][null], color=colors()["orange"], linewidth=0.9,
                    label=None if start else "null")  # fmt: skip
        ticks[start + len(rows) / 2] = names[key]
        start += len(rows) + max(2, len(data.pairs.columns["tv"]) // 60)
    some = list(ticks)[:: -(-len(ticks) // TICKS)]  # more would overlap
    ax.set_xticks(some, [ticks[place] for place in some])
    ax.set(ylim=(0, 1), ylabel="total variation", xlabel="episode", title="How far apart")
    ax.legend(loc="upper right", ncols=1, borderaxespad=0, labelspacing=0.2)


def draw_surprise(ax: Axes, data: Comparison) -> None:
    """Surprise at the recorded actions under the two."""
    columns = data.pairs.columns
    for k, rows in enumerate(data.pairs.rows_of().values()):
        ax.plot(
            columns["surprise_a"][rows], columns["surprise_b"][rows], ".", color=color_of(k), alpha=0.6, markersize=3
        )
    both = np.stack([columns["surprise_a"], columns["surprise_b"]])
    taken = can_be_taken(both).all(axis=0)
    low, high = (float(f(both[:, taken], initial=UNIFORM)) for f in (np.min, np.max))
    if beyond := int((~taken).sum()):
        ax.text(0.03, 0.98, f"{beyond} beyond a policy's box", transform=ax.transAxes, color=muted(), va="top",
                fontsize="small")  # fmt: skip
    ax.axline((low, low), slope=1, color=muted(), linewidth=0.8)
    ax.set(xlim=(low - 0.5, high + 0.5), ylim=(low - 0.5, high + 0.5), aspect="equal", xlabel="under A [nats]",
           ylabel="under B [nats]", title="Surprise")  # fmt: skip


def draw_paired(ax: Axes, data: Comparison) -> None:
    """Surprise under B less that under A, by episode, in all with its interval, and for the null."""
    labels: list[str] = []
    names = list(_episodes(data).values())
    for k, rows in enumerate(data.pairs.rows_of().values()):
        ax.plot(mean_known(data.pairs.difference[rows]), len(labels), "o", color=color_of(k), markersize=3)
        labels.append(names[k])
    _interval(ax, data.pairs.nll_difference(), len(labels), ax.xaxis.label.get_color())
    labels.append("all")
    if data.null is not None:
        _interval(ax, data.null.nll_difference(), len(labels), colors()["orange"])
        labels.append("null")
    ax.axvline(0, color=muted(), linewidth=0.8)
    ax.set_yticks(range(len(labels)), labels)
    ax.set(ylim=(len(labels) - 0.5, -0.5), xlabel="B − A [nats a step]", ylabel="episode", title="Paired difference")
    if data.null is None:
        ax.text(
            0.98, 0.02, "no null row", transform=ax.transAxes, color=muted(), ha="right", va="bottom", fontsize="small"
        )


def _interval(ax: Axes, found: Interval, place: float, color: Any) -> None:
    if found.low is not None and found.high is not None:
        ax.plot([found.low, found.high], [place, place], color=color, linewidth=1.5)
    ax.plot(found.value, place, "D", color=color, markersize=5)


def _mark(ax: Axes, data: Comparison) -> None:
    place: Array = data.map.recorded
    ax.plot(*place, "X", color=colors()["red"], markeredgecolor="white", markersize=7, markeredgewidth=0.8)
    left, right, bottom, top = _extent(data)
    ax.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top))
    for spine in ax.spines.values():
        spine.set_visible(True)


def _extent(data: Comparison) -> tuple[float, float, float, float]:
    left, top, side = data.map.window
    return left, left + side, top + side, top


def _episodes(data: Comparison) -> dict[Key, str]:
    # What the axes call each episode: its number, with the data set if there are several.
    keys = list(data.pairs.rows_of())
    datasets = list(dict.fromkeys(dataset for dataset, _ in keys))
    short = dict(zip(datasets, short_names(datasets), strict=True))
    return {key: f"{key[1]}" if len(datasets) == 1 else f"{short[key[0]]} {key[1]}" for key in keys}


def _names(data: Comparison) -> list[str]:
    return short_names([data.pairs.a, data.pairs.b])


COMPARISON = Chart(
    {"a": _density("A"), "b": _density("B"), "ratio": draw_ratio, "steps": draw_steps, "surprise": draw_surprise,
     "paired": draw_paired},
    [["a", "b", "ratio"], ["steps", "surprise", "paired"]],
    aspect=0.74,
)  # fmt: skip
