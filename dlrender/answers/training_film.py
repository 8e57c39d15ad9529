"""The film of a training: one episode under each checkpoint, side by side on one scale, over the surprise of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.answers.charts import colors, shades
from dlrender.answers.films import DENSITIES, SHARP, Film, density_image
from dlrender.answers.points import only_taken
from dlrender.answers.steps import Step
from dlrender.answers.table import caches_in
from dlrender.answers.training import Training, find_episode
from dlrender.output import pick_fps
from dlscore.common.world import WORLD_SIZE
from dlscore.density.cells import log_window_density

WORLD = (0.0, 0.0, WORLD_SIZE)


def training_film(
    data: Training, checkpoints: Mapping[int, Sequence[Path]], width: float | None = None, method: str | None = None
) -> Film:
    """The film of the episode of the first still. Call it within `chart_style`."""
    key = data.stills[0][0].key
    episodes = [find_episode(caches_in(list(checkpoints[steps])), key, method) for steps in data.steps]
    wide = 7.0 if width is None else width
    count = len(episodes)
    figure = Figure(figsize=(wide, wide * (0.3 + 0.95 / count)), layout="constrained")
    names = [f"{steps}" for steps in data.steps]
    mosaic: list[Any] = [names, ["surprise"] * count]
    axes = figure.subplot_mosaic(mosaic, height_ratios=(0.95 / count, 0.24))
    images = [density_image(axes[name], WORLD) for name in names]
    marks = [
        axes[name].plot([], [], "X", color=colors()["red"], markeredgecolor="white", markersize=6)[0] for name in names
    ]
    for name, number in zip(names, data.steps, strict=True):
        axes[name].set_title(f"{number:,} steps")
    figure.colorbar(images[0], ax=[axes[name] for name in names], pad=0.01, aspect=20, extend="both",
                    label="density [1/px²]")  # fmt: skip
    cursor, text = _course(axes["surprise"], data.steps, episodes)

    def show(k: int) -> None:
        for image, mark, steps in zip(images, marks, episodes, strict=True):
            step = steps[k]
            image.set_data(np.exp(log_window_density(step.mixture, WORLD[:2], WORLD[2], SHARP)).clip(DENSITIES[0]))
            mark.set_data(*step.episode.actions[step.row][:, None])
        cursor.set_xdata([steps[k].number] * 2)
        text.set_text(f"episode {key[1]}, step {steps[k].number}")

    return Film(figure, len(episodes[0]), show, pick_fps(episodes[0][0].episode.cache, None))


def _course(ax: Axes, numbers: Sequence[int], episodes: Sequence[Sequence[Step]]) -> tuple[Any, Any]:
    # The surprise of each checkpoint over the episode; the line that moves, and the text.
    for k, steps in enumerate(episodes):
        surprise = np.array([-each.log_density for each in steps])
        surprise = only_taken(surprise, surprise)
        tint = shades()(0.35 + 0.65 * k / max(1, len(episodes) - 1))
        ax.plot([each.number for each in steps], surprise, color=tint, label=f"{numbers[k]:,} steps")
    ax.set(xlabel="step", ylabel="surprise [nats]")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    return ax.axvline(0, color=matplotlib.rcParams["text.color"], linewidth=1), ax.set_title("episode 000, step 0000")
