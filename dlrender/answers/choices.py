"""The choices of a step: its modes, the plans that lead to each, and the regions of its density, on a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon

from dlrender.answers.charts import Chart, chart_figure, chart_style, color_of, colors, muted, plot_panel, shades
from dlrender.answers.columns import LEVELS
from dlrender.answers.modes import Mode
from dlrender.answers.points import window_around
from dlrender.answers.steps import Episode, Step
from dlrender.answers.table import density_of
from dlrender.figures import check_step
from dlrender.overlays.world import Agent, Block
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.arrays import Array
from dlscore.common.world import GOAL_POSE
from dlscore.density.cells import log_window_density

AGENT = "#4169e1"
SHARP = 160  # cells a side of the map's window


@dataclass(frozen=True)
class Choices:
    """A step's modes (None where they cannot be told), plans (D, H, 2) px with the mode (D,) that each starts at, −1 for none,
    the regions on a window (left, top, side) px, and the world.

    log_density: (SHARP, SHARP) [y, x]; thresholds: log densities at the border of the regions of LEVELS, falling. names: the
    numbers by which modes have their colours, those of their tracks in a film; 0, 1, … without.
    """

    episode: int
    step: int
    time: float
    modes: list[Mode] | None
    plans: Array
    starts: Array
    recorded: Array
    state: Array
    window: tuple[float, float, float]
    log_density: Array
    thresholds: Array
    error: float
    names: Sequence[int] = ()

    def color_of(self, mode: int) -> str:
        """The colour of a mode."""
        return color_of(2 + (self.names[mode] if self.names else mode))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        modes = None if self.modes is None else [
            {**vars(mode), "plans": int((self.starts == k).sum())} for k, mode in enumerate(self.modes)
        ]  # fmt: skip
        return {"episode": self.episode, "step": self.step, "time": self.time, "error": self.error, "modes": modes,
                "plans": len(self.plans), "recorded_action": self.recorded.tolist()}  # fmt: skip


def read_choices(cache: EpisodeCache | str | Path, step: int, method: str | None = None) -> Choices:
    """The choices of one step of a cache, open or by its path."""
    if not isinstance(cache, EpisodeCache):
        with open_cache(cache) as opened:
            return read_choices(opened, step, method)
    return choices_of(Step(Episode(cache, density_of(cache, method)), check_step(cache, step)))


def choices_of(here: Step, window: tuple[float, float, float] | None = None) -> Choices:
    """The same of a step whose file is open, on a window (left, top, side) px, or on one about all that is drawn."""
    cache, row, points, plans = here.episode.cache, here.row, here.points, here.chunks
    thresholds = np.array([points.threshold(level) for level in LEVELS])
    agent, recorded = cache.state[row, :2], here.episode.actions[row]
    if window is None:
        window = window_around(np.concatenate([points.likely(), plans.reshape(-1, 2), agent[None], recorded[None]]))
    return Choices(
        cache.episode, here.number, float(cache.time[row]), here.modes, plans, _nearest(plans, here.modes), recorded,
        cache.state[row], window, log_window_density(here.mixture, window[:2], window[2], SHARP), thresholds,
        here.check("error"),
    )  # fmt: skip


def plot_choices(cache: Any, step: int, ax: Axes | None = None, *, method: str | None = None) -> Any:
    """Draw the modes of a step into `ax`, or a figure; the Axes or the Figure."""
    data = read_choices(cache, step, method)
    return choices_figure(data, Style()) if ax is None else plot_panel(CHOICES, data, ax, "map")


def choices_figure(data: Choices, style: Style, width: float | None = None) -> Figure:
    """The whole figure."""
    with chart_style(style):
        return chart_figure(CHOICES, data, style, width)


def draw_map(ax: Axes, data: Choices) -> None:
    """The world, the regions, the plans in the colour of the mode at which they start, and each mode's mass and prominence.

    Regions lie over block and agent, and their outlines over the plans too, so that nothing hides where they end.
    """
    left, top, side = data.window
    goal = np.concatenate([np.zeros(2), GOAL_POSE])
    ax.add_patch(Polygon(Block().corners(data.state), facecolor=muted(), alpha=0.35, linewidth=0))
    ax.add_patch(Polygon(Block().corners(goal), fill=False, edgecolor=colors()["green"], linewidth=0.9))
    ax.add_patch(Polygon(Agent().corners(data.state), facecolor=AGENT, edgecolor="black", linewidth=0.6, alpha=0.6))
    centres = (np.arange(SHARP) + 0.5) * side / SHARP
    levels = np.append(data.thresholds[::-1], max(data.log_density.max(), data.thresholds[0]) + 1)
    tints = [shades()(share) for share in (0.15, 0.3, 0.48)]
    ax.contourf(left + centres, top + centres, data.log_density, levels, colors=tints, alpha=0.75)
    for plan, start in zip(data.plans, data.starts, strict=True):
        ax.plot(*plan.T, color=muted() if start < 0 else data.color_of(start), linewidth=0.5, alpha=0.45)
    edges = [shades()(share) for share in (0.5, 0.7, 0.9)]
    ax.contour(left + centres, top + centres, data.log_density, levels[:-1], colors=edges, linewidths=0.9, zorder=3)
    ax.plot(
        *data.recorded, "X", color=colors()["red"], markeredgecolor="white", markersize=7, markeredgewidth=0.8, zorder=4
    )
    for k, mode in enumerate(data.modes or []):
        ax.plot(mode.x, mode.y, "o", color=data.color_of(k), markeredgecolor="white", markersize=6, zorder=5)
        label = f"{100 * mode.mass:.0f} %" + (f", {mode.prominence:.1f} nats" if len(data.modes or []) > 1 else "")
        box = {"boxstyle": "round,pad=0.15", "facecolor": ax.get_facecolor(), "alpha": 0.75, "linewidth": 0}
        ax.annotate(label, (mode.x, mode.y), (6, 6), textcoords="offset points", fontsize="small", zorder=6, bbox=box)
    ax.set(xlim=(left, left + side), ylim=(top + side, top), aspect="equal", xlabel="x [px]", ylabel="y [px]")
    ax.set_title(f"{_count(data)} at {data.time:.1f} s")
    ax.legend(handles=_handles(data), loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)


def _count(data: Choices) -> str:
    if data.modes is None:
        return f"Modes cannot be told (error {data.error:.2f})"
    return f"{len(data.modes)} mode{'s' * (len(data.modes) != 1)}"


def _handles(data: Choices) -> list[Any]:
    tints = [shades()(share) for share in (0.48, 0.3, 0.15)]
    return [
        *(Patch(color=tint, label=f"{100 * level:.0f} % region") for tint, level in zip(tints, LEVELS, strict=True)),
        Line2D([], [], color=color_of(2), linewidth=0.8, label=f"{len(data.plans)} plans, by mode"),
        Line2D([], [], marker="o", linestyle="", color=color_of(2), markeredgecolor="white", label="mode: mass, prominence"),
        Line2D([], [], marker="X", linestyle="", color=colors()["red"], markeredgecolor="white", label="recorded action"),
        Line2D([], [], marker="o", linestyle="", color=AGENT, markeredgecolor="black", label="agent"),
        Patch(color=muted(), alpha=0.35, label="block"),
        Patch(facecolor="none", edgecolor=colors()["green"], label="goal"),
    ]  # fmt: skip


def _nearest(plans: Array, modes: list[Mode] | None) -> Array:
    # (D,) the mode that is nearest to each plan's first action
    if not modes:
        return np.full(len(plans), -1)
    places = np.array([[mode.x, mode.y] for mode in modes])
    found: Array = (
        np.linalg.norm(plans[:, :1] - places, axis=-1).argmin(axis=1) if len(plans) else np.empty(0, dtype=int)
    )
    return found


CHOICES = Chart({"map": draw_map}, [["map"]], aspect=0.66, width=5.0)
