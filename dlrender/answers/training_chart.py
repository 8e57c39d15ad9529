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
from dlrender.answers.films import DENSITIES
from dlrender.answers.intervals import Interval
from dlrender.answers.timeline import UNIFORM
from dlrender.answers.training import SHARP, Training, read_training
from dlrender.style.style import Style
from dlscore.common.world import WORLD_SIZE

GAP, ROW = 0.06, 1.16  # between stills, and from row to row, in sides of a still
FEW = 3  # checkpoints whose moments stand side by side
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
    wide, tall = _extent(data)
    strip = tall / wide  # its height over its width
    panels = {"stills": draw_stills} | {name: _curve(name) for name in names}
    mosaic = [["stills"] * len(names), names]
    return Chart(panels, mosaic, aspect=strip + 0.36, width=7.0, heights=(strip, 0.28))


def draw_stills(ax: Axes, data: Training) -> None:
    """Each moment under each checkpoint, from left to right: densities on one scale, the recorded action, its surprise."""
    for moment, (start, top) in zip(data.stills, _places(data), strict=True):
        for column, still in enumerate(moment):
            left = start + column * (1 + GAP)
            extent = (left, left + 1, top + 1, top)
            values = np.exp(still.log_density).clip(DENSITIES[0])
            image = ax.imshow(values, cmap=shades(), norm=LogNorm(*DENSITIES), extent=extent, interpolation="bilinear")
            x, y = left + still.recorded[0] / WORLD_SIZE, top + still.recorded[1] / WORLD_SIZE
            ax.plot(x, y, "X", color=colors()["red"], markeredgecolor="white", markersize=5.5, markeredgewidth=0.6)
            ax.plot([left, left + 1, left + 1, left, left], [top, top, top + 1, top + 1, top], color=muted(),
                    linewidth=0.6)  # fmt: skip
            below = f"{still.surprise:.1f} nats"
            ax.text(left + 0.5, top + 1.02, below, ha="center", va="top", fontsize="small")
            if top == 0:
                above = f"{data.steps[column]:,} steps"
                ax.text(left + 0.5, -0.03, above, ha="center", va="bottom", weight="bold")
        ax.text(start - 0.03, top + 0.5, f"episode {moment[0].key[1]}, step {moment[0].step}", rotation=90, ha="right",
                va="center", fontsize="small")  # fmt: skip
    wide, tall = _extent(data)
    ax.set(xlim=(-0.12, wide - 0.12), ylim=(tall - 0.14, -0.14), aspect="equal")
    ax.set_axis_off()
    bar = ax.figure.colorbar(image, ax=ax, pad=0.01, aspect=30, shrink=0.9)
    bar.set_label(f"density [1/px²],\ncells of {WORLD_SIZE / SHARP:.1f} px")


def _places(data: Training) -> list[tuple[float, float]]:
    # Left and top of each moment's row of stills, in sides of a still; few checkpoints leave room for the rows side by side.
    if len(data.steps) <= FEW:
        return [(k * (len(data.steps) * (1 + GAP) + 0.2), 0.0) for k in range(len(data.stills))]
    return [(0.0, k * ROW) for k in range(len(data.stills))]


def _extent(data: Training) -> tuple[float, float]:
    # Width and height of all stills and their labels, in sides of a still.
    lefts, tops = zip(*_places(data), strict=True)
    return max(lefts) + len(data.steps) * (1 + GAP) + 0.12, max(tops) + ROW + 0.14


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
        ax.set(xlabel="training steps", title=LABELS[name])
        if min(data.steps) > 0:
            ax.set_xscale("log")
        else:  # before training: a logarithm from the first checkpoint after it on
            ax.set_xscale("symlog", linthresh=sorted(data.steps)[1])
            scale = ax.xaxis.get_transform()
            end = float(scale.transform([max(data.steps)])[0])
            ax.set_xlim(*map(float, scale.inverted().transform(np.array([-0.06 * end, 1.06 * end]))))
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
