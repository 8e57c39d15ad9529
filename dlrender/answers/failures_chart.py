"""The figure of failures: one statistic over time with its band, all statistics by how well they tell, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.answers.charts import Chart, chart_figure, chart_style, colors, muted, plot_panel
from dlrender.answers.columns import BY_NAME
from dlrender.answers.failures import FEATURES, Failures, read_failures
from dlrender.style.style import Style

ABOVE = 0.3  # of the axes' height: room for the legend


def plot_failures(
    files: Sequence[Path] | Failures, ax: Axes | None = None, *, panel: str = "features", feature: str = "entropy"
) -> Any:
    """Draw one panel (course, features or best) into `ax`, or the whole figure; the Axes or the Figure."""
    data = files if isinstance(files, Failures) else read_failures(files, feature)
    return failures_figure(data, Style()) if ax is None else plot_panel(FAILURES, data, ax, panel)


def failures_figure(data: Failures, style: Style, width: float | None = None) -> Figure:
    """The whole figure."""
    with chart_style(style):
        return chart_figure(FAILURES, data, style, width)


def draw_course(ax: Axes, data: Failures) -> None:
    """The statistic of every episode over time, the means of both groups while half of the episodes last, and the band."""
    for failed, color, label in _groups(data):
        group = [course for course in data.courses if course.failed == failed]
        for course in group:
            ax.plot(course.time, course.value, color=color, linewidth=0.5, alpha=0.35)
            ax.plot(course.time[-1], course.value[-1], ".", color=color, markersize=3)
        time = max((course.time for course in group), key=len)
        lasting = np.array([course.time[-1] for course in group])
        time = time[time <= np.median(lasting)]
        mean = np.mean([np.interp(time, course.time, course.value) for course in group], axis=0)
        ax.plot(time, mean, color=color, linewidth=2.2, label=label)
    title = "Over time"
    if data.band is not None:
        ax.plot(data.band.time, data.band.bound, color=muted(), linestyle="--", linewidth=1, label="band of successes")
        warned = [lead for lead in data.band.leads if lead is not None]
        title += f": {len(warned)} of {len(data.band.leads)} failures warned of"
        title += f", {np.median(warned):.1f} s ahead" if warned else ""
    ax.axvline(data.seconds, color=muted(), linewidth=0.8)
    ax.set(xlabel="time [s]", ylabel=f"{FEATURES[data.feature]} [{BY_NAME[data.feature].units}]", title=title)
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, top + ABOVE * (top - bottom))
    ax.legend(loc="upper right", labelspacing=0.2)
    if data.band is None:
        ax.text(0.02, 0.02, data.why, transform=ax.transAxes, color=muted(), fontsize="small")


def draw_features(ax: Axes, data: Failures) -> None:
    """AUROC of each statistic with its interval, and p corrected for all that were tried."""
    order = np.argsort([-abs(area.value - 0.5) for area in data.areas])
    labels = []
    for place, k in enumerate(order):
        area = data.areas[k]
        color = colors()["red"] if area.corrected < 0.05 else colors()["blue"]
        ax.plot([area.low, area.high], [place, place], color=color)
        ax.plot(area.value, place, "o", color=color)
        ax.annotate(
            _p(area.corrected), (1.02, place), xycoords=("axes fraction", "data"), va="center", fontsize="small"
        )
        labels.append(FEATURES[data.names[k]])
    ax.axvline(0.5, color=muted(), linewidth=0.8, linestyle="--")
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlim=(0, 1), ylim=(len(labels) - 0.5, -0.5), xlabel=f"AUROC of the first {data.seconds:g} s",
           title=f"What tells (p corrected for {len(labels)})")  # fmt: skip


def draw_best(ax: Axes, data: Failures) -> None:
    """The statistic that tells most, of each episode, with medians."""
    k = int(np.argmax([abs(area.value - 0.5) for area in data.areas]))
    rng = np.random.default_rng(0)
    for place, (failed, color, label) in enumerate(_groups(data)):
        values = data.values[k, data.failed == failed]
        ax.plot(place + rng.uniform(-0.12, 0.12, len(values)), values, "o", color=color, alpha=0.75)
        ax.plot([place - 0.25, place + 0.25], [np.median(values)] * 2, color=color, linewidth=2)
        ax.annotate(
            label, (place, 0), (0, -12), ("data", "axes fraction"), "offset points", ha="center", fontsize="small"
        )
    name, area = data.names[k], data.areas[k]
    ax.set(xlim=(-0.6, 1.6), xticks=[], ylabel=f"mean {name.replace('_', ' ')} [{BY_NAME[name].units}]")
    ax.set_title("What tells most")
    ax.text(0.5, 0.99, f"AUROC {area.value:.2f}, {_p(area.p)} alone", transform=ax.transAxes, ha="center", va="top",
            fontsize="small")  # fmt: skip
    ax.margins(y=0.12)


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def _groups(data: Failures) -> list[tuple[bool, str, str]]:
    failures = int(data.failed.sum())
    return [
        (False, colors()["blue"], f"succeeds ({len(data.failed) - failures})"),
        (True, colors()["red"], f"fails ({failures})"),
    ]


FAILURES = Chart(
    {"course": draw_course, "features": draw_features, "best": draw_best},
    [["course", "features", "best"]],
    aspect=0.34,
    width=9.0,
    widths=(1.3, 0.9, 0.7),
)
