"""The film of a comparison: both densities of an episode and their ratio, step by step, over how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrender.answers.charts import colors, muted, short_names
from dlrender.answers.compare import Comparison, find_steps
from dlrender.answers.compare_chart import REACH, opacity
from dlrender.answers.distinct import Key
from dlrender.answers.films import DENSITIES, SHARP, Film, density_image, ratio_image
from dlrender.answers.points import window_around
from dlrender.output import pick_fps
from dlscore.density.cells import log_window_density


def comparison_film(
    data: Comparison, a: Sequence[Path], b: Sequence[Path], width: float | None = None, method: str | None = None
) -> Film:
    """The film of the episode that the map is of, at all steps that both have. Call it within `chart_style`."""
    key = data.map.key
    pairs = find_steps(a, b, key, method)
    places = [each.points.likely(0.99) for pair in pairs for each in pair]
    window = window_around(np.concatenate([*places, *(p.episode.actions[p.row][None] for p, _ in pairs)]))
    wide = 7.0 if width is None else width
    figure = Figure(figsize=(wide, 0.62 * wide), layout="constrained")
    axes = figure.subplot_mosaic([["a", "b", "ratio"], ["steps"] * 3], height_ratios=(1, 0.42))
    images = [density_image(axes[name], window) for name in "ab"]
    images.append(ratio_image(axes["ratio"], window, REACH))
    marks = [axes[name].plot([], [], "X", color=colors()["red"], markeredgecolor="white", markersize=7)[0]
             for name in ("a", "b", "ratio")]  # fmt: skip
    for name, policy in zip("ab", short_names([data.pairs.a, data.pairs.b]), strict=True):
        axes[name].set_title(f"{name.upper()}: {policy}")
    axes["ratio"].set_title("Blue: A goes there, red: B")
    figure.colorbar(images[0], ax=[axes["a"], axes["b"]], location="bottom", pad=0.02, aspect=50, extend="both",
                    label="density [1/px²]")  # fmt: skip
    bar = figure.colorbar(images[2], ax=axes["ratio"], location="bottom", pad=0.02, aspect=25, ticks=[-6, -3, 0, 3, 6])
    bar.ax.set_xticklabels(["A 64×", "8×", "1", "8×", "B 64×"])
    cursor, text = _course(axes["steps"], data, key)

    def show(k: int) -> None:
        p, q = pairs[k]
        logs = [log_window_density(each.mixture, window[:2], window[2], SHARP) for each in (p, q)]
        for image, values in zip(images, logs, strict=False):
            image.set_data(np.exp(values).clip(DENSITIES[0]))
        images[2].set_data(np.clip((logs[1] - logs[0]) / np.log(2), -REACH, REACH))
        images[2].set_alpha(opacity(*logs))
        for mark in marks:
            mark.set_data(*p.episode.actions[p.row][:, None])
        cursor.set_xdata([p.number, p.number])
        text.set_text(f"episode {key[1]}, step {p.number}")

    caches = [each.episode.cache for each in pairs[0]]
    shared = math.lcm(*(cache.every for cache in caches))  # steps from one pair to the next
    return Film(figure, len(pairs), show, pick_fps(caches[0], None) * caches[0].every / shared)


def _course(ax: Axes, data: Comparison, key: Key) -> tuple[Any, Any]:
    # Total variation over the episode beside the estimates' own error; the line that moves, and the text.
    rows = data.pairs.rows_of()[key]
    columns = {name: values[rows] for name, values in data.pairs.columns.items()}
    ax.fill_between(columns["step"], columns["tv_error"], color=muted(), alpha=0.3, linewidth=0, label="within error")
    ax.plot(columns["step"], columns["tv"], color=colors()["blue"], label="A, B")
    cursor = ax.axvline(columns["step"][0], color=ax.xaxis.label.get_color(), linewidth=1)
    ax.set(ylim=(0, 1), xlabel="step", ylabel="total variation")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    text = ax.set_title("episode 000, step 0000", loc="left")
    return cursor, text
