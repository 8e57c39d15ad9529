"""Scores -> values in [0, 1] -> colours.

A score in nats is a logarithm: far from every mode it falls without end, so its scale is cut `range_nats` below the
largest value (e^-10 of the peak by default). Other scores are shown from their least to their greatest.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache

Array = NDArray[Any]

NORMS = ("episode", "frame", "global", "rank")
COLOURS = 1024


@dataclass(frozen=True)
class Norm:
    """The values that the ends of the colour scale stand for; `rank` replaces scores by their rank first."""

    low: float
    high: float
    rank: bool = False
    cut: bool = False  # values below `low` exist

    def prepare(self, scores: Array) -> Array:
        """(N, N) scores as what is shown: cut at the ends, or the share of cells below each [0, 1]."""
        if self.rank:
            # Cells with one score share one rank: a plateau has one colour, whatever the order of its cells.
            return np.searchsorted(np.sort(scores, axis=None), scores) / (scores.size - 1)
        return np.clip(scores, self.low, self.high)

    def unit(self, values: Array) -> Array:
        """Shown values as [0, 1]."""
        span = self.high - self.low
        return np.clip((values - self.low) / span, 0, 1) if span > 0 else np.zeros_like(values)


def make_norm(
    kind: str, episodes: Iterable[EpisodeCache], method: str, range_nats: float, step: int | None = None
) -> Norm:
    """The norm over the given episodes' scores of `method`, or over one `step`; reads a step at a time.

    kind: "episode" and "global" differ in which episodes they are given; "frame" needs `step`; "rank" reads nothing.
    """
    if kind not in NORMS:
        raise RenderError(f"--norm {kind} does not exist; choose from {', '.join(NORMS)}")
    if not 0 < range_nats < np.inf:
        raise RenderError(f"--range-nats {range_nats:g} is not allowed; choose a finite number above 0")
    if kind == "rank":
        return Norm(0.0, 1.0, rank=True)
    low, high, logarithmic = np.inf, -np.inf, False
    for episode in episodes:
        logarithmic = str(episode.score_attrs(method)["units"]).startswith("nats")
        for k in range(episode.steps) if step is None else (step,):
            scores = episode.score(method, k)
            low, high = min(low, float(scores.min())), max(high, float(scores.max()))
    cut = logarithmic and high - range_nats > low
    return Norm(high - range_nats if cut else low, high, cut=cut)


def colour_table(colormap: str) -> Array:
    """(1024, 3) uint8 RGB of a registered matplotlib colormap."""
    import matplotlib

    if colormap not in matplotlib.colormaps:
        near = difflib.get_close_matches(colormap, list(matplotlib.colormaps), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "such as viridis, plasma, inferno, magma, coolwarm"
        raise RenderError(f"--colormap {colormap} does not exist; choose a colormap of matplotlib: {hint}")
    table: Array = matplotlib.colormaps[colormap](np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
    return table


def places(scores: Array, norm: Norm, width: int, height: int, count: int = COLOURS) -> Array:
    """(height, width) uint16 places in a colour table of `count` rows: scores are interpolated (bilinear), then coloured."""
    shown = norm.unit(norm.prepare(scores)) * (count - 1)  # interpolation is linear, so the scale may go first
    large = Image.fromarray(shown.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    found: Array = (np.asarray(large) + np.float32(0.5)).astype(np.uint16)
    return found


def colour(scores: Array, norm: Norm, table: Array, width: int, height: int) -> Array:
    """(height, width, 3) uint8 picture of (N, N) scores."""
    picture: Array = np.take(table, places(scores, norm, width, height, len(table)), axis=0)
    return picture
