"""Scores -> values in [0, 1] -> colours.

A score in nats is a logarithm: far from every mode it falls without end, so its scale is cut `range_nats` below the
largest value (e^-10 of the peak by default). Other scores are shown from their least to their greatest.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
class Limits:
    """What a user says of the colour scale: its ends, a power, and a value for its middle (for diverging colormaps)."""

    vmin: float | None = None
    vmax: float | None = None
    gamma: float = 1.0
    center: float | None = None

    def check(self, kind: str) -> None:
        """Raise RenderError for limits that contradict each other or the kind of norm."""
        for name, value in (("--vmin", self.vmin), ("--vmax", self.vmax), ("--center", self.center)):
            if value is not None and not np.isfinite(value):
                raise RenderError(f"{name} {value} is not allowed; choose a finite number")
            if value is not None and kind == "rank":
                raise RenderError(
                    f"{name} {value:g} has no meaning with --norm rank, whose colours are ranks; leave one out"
                )
        if not 0 < self.gamma < np.inf:
            raise RenderError(f"--gamma {self.gamma:g} is not allowed; choose a finite number above 0")
        if self.vmin is not None and self.vmax is not None and self.vmin >= self.vmax:
            raise RenderError(
                f"--vmin {self.vmin:g} is not below --vmax {self.vmax:g}; choose them the other way round"
            )
        if self.center is not None and (self.vmin is not None or self.vmax is not None):
            raise RenderError("--center makes both ends of the scale as far from it; leave out --vmin and --vmax")

    def apply(self, low: float, high: float) -> tuple[float, float]:
        """The ends of a scale of scores from `low` to `high`; RenderError if one that was given leaves no scale."""
        if self.center is not None:
            half = max(abs(high - self.center), abs(self.center - low))
            return self.center - half, self.center + half
        ends = low if self.vmin is None else self.vmin, high if self.vmax is None else self.vmax
        if (self.vmin is not None or self.vmax is not None) and ends[0] >= ends[1]:
            raise RenderError(
                f"the scores reach from {low:g} to {high:g}, which with --vmin and --vmax as given leaves no scale from "
                f"{ends[0]:g} to {ends[1]:g}; choose others"
            )
        return ends


@dataclass(frozen=True)
class Norm:
    """The values that the ends of the colour scale stand for; `rank` replaces scores by their rank first."""

    low: float
    high: float
    rank: bool = False
    cut: bool = False  # values below `low` exist
    cut_above: bool = False  # values above `high` exist
    gamma: float = 1.0

    def prepare(self, scores: Array) -> Array:
        """(N, N) scores as what is shown: cut at the ends, or the share of cells below each [0, 1]."""
        if self.rank:
            # Cells with one score share one rank: a plateau has one colour, whatever the order of its cells.
            return np.searchsorted(np.sort(scores, axis=None), scores) / (scores.size - 1)
        return np.clip(scores, self.low, self.high)

    def unit(self, values: Array) -> Array:
        """Shown values as [0, 1]."""
        span = self.high - self.low
        if span <= 0:
            return np.zeros_like(values)
        unit = np.clip((values - self.low) / span, 0, 1)
        return unit if self.gamma == 1 else unit**self.gamma

    def of_matplotlib(self) -> Any:
        """The same scale as matplotlib's own norm."""
        from matplotlib.colors import Normalize, PowerNorm

        plain = self.gamma == 1
        return Normalize(self.low, self.high) if plain else PowerNorm(self.gamma, self.low, self.high)


def make_norm(
    kind: str,
    episodes: Iterable[EpisodeCache],
    method: str,
    range_nats: float,
    step: int | None = None,
    limits: Limits | None = None,
) -> Norm:
    """The norm over the given episodes' scores of `method`, or over one `step`; reads a step at a time.

    kind: "episode" and "global" differ in which episodes they are given; "frame" needs `step`; "rank" reads nothing.
    """
    if kind not in NORMS:
        raise RenderError(f"--norm {kind} does not exist; choose from {', '.join(NORMS)}")
    if not 0 < range_nats < np.inf:
        raise RenderError(f"--range-nats {range_nats:g} is not allowed; choose a finite number above 0")
    limits = limits or Limits()
    limits.check(kind)
    if kind == "rank":
        return Norm(0.0, 1.0, rank=True, gamma=limits.gamma)
    low, high, logarithmic = np.inf, -np.inf, False
    for episode in episodes:
        logarithmic = str(episode.score_attrs(method)["units"]).startswith("nats")
        for k in range(episode.steps) if step is None else (step,):
            scores = episode.score(method, k)
            low, high = min(low, float(scores.min())), max(high, float(scores.max()))
    floor = max(low, high - range_nats) if logarithmic else low
    if not np.isfinite([low, high]).all():  # no episode was given
        return Norm(0.0, 1.0, gamma=limits.gamma)
    ends = limits.apply(floor, high)
    return Norm(*ends, cut=bool(low < ends[0]), cut_above=bool(high > ends[1]), gamma=limits.gamma)


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
    # Interpolation is linear, so the linear part of the scale may go first, on the few cells; a power may not.
    shown = replace(norm, gamma=1.0).unit(norm.prepare(scores)).astype(np.float32)
    large = np.asarray(Image.fromarray(shown).resize((width, height), Image.Resampling.BILINEAR))
    if norm.gamma != 1:
        large = large**norm.gamma
    found: Array = (large * np.float32(count - 1) + np.float32(0.5)).astype(np.uint16)
    return found


def colour(scores: Array, norm: Norm, table: Array, width: int, height: int) -> Array:
    """(height, width, 3) uint8 picture of (N, N) scores."""
    picture: Array = np.take(table, places(scores, norm, width, height, len(table)), axis=0)
    return picture
