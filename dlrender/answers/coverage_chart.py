"""The figure of a coverage: the policy's mean density with the recorded actions, and cell by cell what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from dlrender.answers.charts import Chart, chart_figure, chart_style, colors, diverging, muted, plot_panel, shades
from dlrender.answers.coverage import CELLS, FRAMES, Coverage, read_coverage
from dlrender.style.style import Style
from dlscore.common.world import BLOCK_OUTLINE

REACH = 2.0  # in powers of 2, of the ratio of recorded to expected
SHADES = (1e-7, 1e-4)  # 1/px²: ends of the colours


def plot_coverage(
    files: Sequence[Path] | Coverage, ax: Axes | None = None, *, panel: str = "ratio", frame: str = "world"
) -> Any:
    """Draw one panel (map, ratio or null) into `ax`, or the whole figure; the Axes or the Figure."""
    data = files if isinstance(files, Coverage) else read_coverage(files, frame)
    return coverage_figure(data, Style()) if ax is None else plot_panel(COVERAGE, data, ax, panel)


def coverage_figure(data: Coverage, style: Style, width: float | None = None) -> Figure:
    """The whole figure."""
    with chart_style(style):
        return chart_figure(COVERAGE, data, style, width)


def draw_map(ax: Axes, data: Coverage) -> None:
    """The policy's mean density over steps, and the recorded actions."""
    image = ax.imshow(data.density.clip(SHADES[0]), cmap=shades(), norm=LogNorm(*SHADES), extent=_extent(data))
    ax.plot(*data.actions.T, ".", color=colors()["red"], markersize=2, alpha=0.8, label="recorded action")
    _dress(ax, data)
    ax.set_title("Proposed and taken")
    bar = ax.figure.colorbar(image, ax=ax, orientation="horizontal", pad=0.02, aspect=25, extend="both")
    bar.set_label("policy, mean over steps [1/px²]")


def draw_ratio(ax: Axes, data: Coverage) -> None:
    """Recorded over expected actions in each cell; a frame where they differ beyond chance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(np.log2((data.counts + 0.5) / (data.expected + 0.5)), -REACH, REACH)
    seen = data.counts + data.expected > 0.5
    image = ax.imshow(
        np.where(seen, ratio, np.nan), cmap=diverging(), norm=TwoSlopeNorm(0, -REACH, REACH), extent=_extent(data)
    )
    low, high = FRAMES[data.frame]
    side = (high - low) / CELLS
    for row, column in zip(*np.nonzero(data.told), strict=True):
        ax.add_patch(Rectangle((low + column * side, low + row * side), side, side, fill=False, linewidth=1.2,
                               edgecolor=ax.xaxis.label.get_color()))  # fmt: skip
    _dress(ax, data)
    ax.set_title(f"Beyond chance: {int(data.told.sum())} of {int(seen.sum())} cells")
    bar = ax.figure.colorbar(image, ax=ax, orientation="horizontal", pad=0.02, aspect=25, ticks=[-2, -1, 0, 1, 2])
    bar.ax.set_xticklabels(["¼", "½", "1", "2", "4"])
    bar.set_label("recorded / expected")


def draw_null(ax: Axes, data: Coverage) -> None:
    """Total variation between the record and what the policy expects, beside that of records drawn from the policy."""
    ax.hist(data.null, bins=30, color=muted(), alpha=0.5)
    ax.axvline(data.tv, color=colors()["red"])
    ax.set(xlabel="total variation\n(red: the record,\ngray: drawn from p)", ylabel="data sets",
           title=f"Chance: p = {data.p_value:.3f}")  # fmt: skip


def _dress(ax: Axes, data: Coverage) -> None:
    low, high = FRAMES[data.frame]
    if data.frame == "block":
        ax.add_patch(Polygon(BLOCK_OUTLINE, facecolor=muted(), alpha=0.5, linewidth=0))
    ax.set(xlim=(low, high), ylim=(high, low), aspect="equal", xlabel="x [px]" + (" from the block" * (data.frame == "block")),
           ylabel="y [px]", xticks=np.linspace(low, high, 5), yticks=np.linspace(low, high, 5))  # fmt: skip


def _extent(data: Coverage) -> tuple[float, float, float, float]:
    low, high = FRAMES[data.frame]
    return low, high, high, low


COVERAGE = Chart(
    {"map": draw_map, "ratio": draw_ratio, "null": draw_null},
    [["map", "ratio", "null"]],
    aspect=0.46,
    widths=(1, 1, 0.7),
)
