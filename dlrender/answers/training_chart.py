"""The figure of a training: stills of each checkpoint on one scale, and the curves below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlrender.answers.charts import Chart, chart_figure, chart_style, colors, muted, plot_panel, shades
from dlrender.answers.intervals import Interval
from dlrender.answers.timeline import UNIFORM
from dlrender.answers.training import SHARP, Training, read_training
from dlrender.style.style import Style
from dlscore.common.world import WORLD_SIZE

DENSITIES = (1e-7, 3e-3)  # 1/px²: ends of the colours, the same for all checkpoints
LABELS = {"nll": "NLL [nats]", "inside_95": "in the 95 % region", "entropy": "entropy [nats]",
          "error": "error of the density", "success": "success rate"}  # fmt: skip


def plot_training(
    checkpoints: Mapping[int, Sequence[Path]] | Training, ax: Axes | None = None, *, panel: str = "nll"
) -> Any:
    """Draw one panel (stills, nll, inside_95, entropy, error or success) into `ax`, or the whole figure."""
    data = checkpoints if isinstance(checkpoints, Training) else read_training(checkpoints)
    return training_figure(data, Style()) if ax is None else plot_panel(training_chart(data), data, ax, panel)


def training_figure(data: Training, style: Style, width: float | None = None) -> Figure:
    """The whole figure."""
    with chart_style(style):
        return chart_figure(training_chart(data), data, style, width)


def training_chart(data: Training) -> Chart:
    """The layout for what the training has: a strip of stills over its curves."""
    names = list(data.curves)
    rows, columns = len(data.stills), len(data.steps)
    strip = min(1.15 * rows / columns, 0.6)  # its height over its width
    panels = {"stills": draw_stills} | {name: _curve(name) for name in names}
    mosaic = [["stills"] * len(names), names]
    return Chart(panels, mosaic, aspect=strip + 0.28, width=7.0, heights=(strip, 0.28))


def draw_stills(ax: Axes, data: Training) -> None:
    """A row for each moment and a column for each checkpoint: densities on one scale, the recorded action, its surprise."""
    gap, side = 0.06, 1.0
    tall = side + 0.16
    for row, moment in enumerate(data.stills):
        for column, still in enumerate(moment):
            left, top = column * (side + gap), row * tall
            extent = (left, left + side, top + side, top)
            values = np.exp(still.log_density).clip(DENSITIES[0])
            image = ax.imshow(values, cmap=shades(), norm=LogNorm(*DENSITIES), extent=extent, interpolation="bilinear")
            x, y = left + still.recorded[0] / WORLD_SIZE, top + still.recorded[1] / WORLD_SIZE
            ax.plot(x, y, "X", color=colors()["red"], markeredgecolor="white", markersize=5.5, markeredgewidth=0.6)
            ax.plot([left, left + side, left + side, left, left], [top, top, top + side, top + side, top], color=muted(),
                    linewidth=0.6)  # fmt: skip
            ax.text(
                left + side / 2,
                top + side + 0.02,
                f"{still.surprise:.1f} nats",
                ha="center",
                va="top",
                fontsize="small",
            )
            if row == 0:
                ax.text(
                    left + side / 2, -0.03, f"{data.steps[column]:,} steps", ha="center", va="bottom", weight="bold"
                )
        ax.text(-0.03, row * tall + side / 2, f"episode {moment[0].episode}, step {moment[0].step}", rotation=90, ha="right",
                va="center", fontsize="small")  # fmt: skip
    ax.set(xlim=(-0.12, len(data.steps) * (side + gap)), ylim=(len(data.stills) * tall, -0.14), aspect="equal")
    ax.set_axis_off()
    bar = ax.figure.colorbar(image, ax=ax, pad=0.01, aspect=30, shrink=0.9)
    bar.set_label(f"density [1/px²], cells of {WORLD_SIZE / SHARP:.1f} px")


def _curve(name: str) -> Any:
    def draw(ax: Axes, data: Training) -> None:
        curve: Sequence[Interval] = data.curves[name]
        color = colors()["orange" if name == "success" else "blue"]
        ax.plot(data.steps, [each.value for each in curve], "o-", color=color)
        for steps, each in zip(data.steps, curve, strict=True):
            if each.low is not None and each.high is not None:
                ax.plot([steps, steps], [each.low, each.high], color=color, linewidth=1.3)
        level = {"nll": UNIFORM, "inside_95": 0.95}.get(name)
        low, high = ax.get_ylim()
        if level is not None and low - 0.3 * (high - low) < level < high + 0.3 * (high - low):
            ax.axhline(level, color=muted(), linewidth=0.8, linestyle="--")
        ax.set(xscale="log", xlabel="training steps", title=LABELS[name])
        ax.set_xticks(data.steps, [_short(steps) for steps in data.steps])
        ax.minorticks_off()
        ax.title.set_fontweight("normal")
        # Rank correlations: of the NLL with the steps, of the success with the NLL.
        related = {"nll": "steps, nll", "success": "nll, success"}.get(name, "")
        if related in data.spearman:
            ax.set_xlabel(f"training steps\nρ = {data.spearman[related]}")

    return draw


def _short(steps: int) -> str:
    return f"{steps // 1000}k" if steps >= 1000 and steps % 1000 == 0 else f"{steps}"
