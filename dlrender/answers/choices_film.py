"""The film of an episode's modes: the map of each step, on one window, with the way that each mode has come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from dlrender.answers.charts import color_of
from dlrender.answers.choices import CHOICES, choices_of, draw_map
from dlrender.answers.films import Film
from dlrender.answers.points import window_around
from dlrender.answers.steps import Episode
from dlrender.answers.table import density_of
from dlrender.answers.tracks import Tracks
from dlrender.output import pick_fps
from dlscore.cache import EpisodeCache

PAST = 15  # steps of a mode's way that are shown


def choices_film(cache: EpisodeCache, tracks: Tracks, width: float | None = None, method: str | None = None) -> Film:
    """The film of an open cache; modes have the colours of their tracks. Call it within `chart_style`."""
    steps = list(Episode(cache, density_of(cache, method)).steps())
    reach = [each.points.likely() for each in steps]
    window = window_around(np.concatenate([*reach, cache.state[:, :2], steps[0].episode.actions]))
    wide = CHOICES.width if width is None else width
    figure = Figure(figsize=(wide, wide * CHOICES.aspect), layout="constrained")
    ax = figure.subplots()
    first = choices_of(steps[0], window)
    draw_map(ax, first)

    def show(k: int) -> None:
        names = tracks.names[k] or []
        ax.clear()
        draw_map(ax, replace(choices_of(steps[k], window), names=names))
        for name in names:
            track = tracks.tracks[name]
            past = (track.steps <= k) & (track.steps > k - PAST)
            ax.plot(track.x[past], track.y[past], color=color_of(2 + name), linewidth=1.2, zorder=4.5)

    return Film(figure, len(steps), show, pick_fps(cache, None))
