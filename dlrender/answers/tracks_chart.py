"""The figure of an episode's modes: where each goes, how much of the mass it has, and how long it lasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.answers.charts import Chart, chart_figure, chart_style, color_of, muted, plot_panel
from dlrender.answers.tracks import Tracks, read_tracks
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache
from dlscore.common.world import WORLD_SIZE

LONGEST = 12  # so many tracks have a bar


def plot_tracks(cache: EpisodeCache | str | Path | Tracks, ax: Axes | None = None, *, panel: str = "mass") -> Any:
    """Draw one panel (map, mass or lasting) into `ax`, or the whole figure; the Axes or the Figure."""
    data = cache if isinstance(cache, Tracks) else read_tracks(cache)
    return tracks_figure(data, Style()) if ax is None else plot_panel(TRACKS, data, ax, panel)


def tracks_figure(data: Tracks, style: Style, width: float | None = None) -> Figure:
    """The whole figure."""
    with chart_style(style):
        return chart_figure(TRACKS, data, style, width)


def draw_map(ax: Axes, data: Tracks) -> None:
    """The way of each mode through the world; a dot where it begins."""
    for k, track in enumerate(data.tracks):
        ax.plot(track.x, track.y, color=color_of(k), linewidth=1)
        ax.plot(track.x[0], track.y[0], "o", color=color_of(k), markersize=3)
    ends = (0.0, WORLD_SIZE)
    ax.set(xlim=ends, ylim=ends[::-1], aspect="equal", xlabel="x [px]", ylabel="y [px]", title="Where modes go",
           xticks=np.linspace(*ends, 5), yticks=np.linspace(*ends, 5))  # fmt: skip


def draw_mass(ax: Axes, data: Tracks) -> None:
    """The mass of each mode over time; lines where the main mode becomes another, gray where modes cannot be told."""
    for k, track in enumerate(data.tracks):
        ax.plot(data.time[track.steps], track.mass, ".-", color=color_of(k), markersize=3)
    for step in data.switches:
        ax.axvline(data.time[step], color=muted(), linewidth=0.8, linestyle="--")
    _shade(ax, data)
    count = len(data.switches)
    told = f"Main mode: {count} switch{'es' * (count != 1)}" if data.tracks else "Modes cannot be told"
    ax.set(ylim=(0, 1.05), ylabel="mass", xlabel="time [s]", title=told)


def draw_lasting(ax: Axes, data: Tracks) -> None:
    """From when to when there is each of the modes that last longest."""
    longest = sorted(range(len(data.tracks)), key=lambda k: -len(data.tracks[k].steps))[:LONGEST]
    for place, k in enumerate(sorted(longest)):
        first, last = data.time[data.tracks[k].steps[[0, -1]]]
        ax.plot([first, last], [place, place], color=color_of(k), linewidth=3, solid_capstyle="round")
    _shade(ax, data)
    more = len(data.tracks) - len(longest)
    ax.set(yticks=[], ylim=(max(len(longest), 1) - 0.5, -0.5), xlabel="time [s]", title="How long each lasts",
           ylabel=f"modes{f' (and {more} shorter)' if more else ''}")  # fmt: skip


def _shade(ax: Axes, data: Tracks) -> None:
    blank = np.array([names is None for names in data.names])
    step = float(np.median(np.diff(data.time))) if len(data.time) > 1 else 0.1
    edges = np.append(data.time - step / 2, data.time[-1] + step / 2)
    if blank.any():
        ax.fill_between(np.repeat(edges, 2)[1:-1], 0, 1, where=np.repeat(blank, 2), color=muted(), alpha=0.25, linewidth=0,
                        transform=ax.get_xaxis_transform())  # fmt: skip
    ax.set_xlim(edges[0], edges[-1])


TRACKS = Chart(
    {"map": draw_map, "mass": draw_mass, "lasting": draw_lasting},
    [["map", "mass"], ["map", "lasting"]],
    aspect=0.5,
    widths=(1, 1.1),
)
