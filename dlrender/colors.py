"""Scores -> values in [0, 1] -> colours.

A score in nats is a logarithm: far from every mode it falls without end, so its scale is cut `range_nats` below the
largest value (e^-10 of the peak by default). Other scores are shown from their least to their greatest.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from dlrender.errors import RenderError
from dlscore.cache.reader import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice

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
    check_choice("--norm", kind, NORMS, RenderError)
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


# Packages that add colormaps to matplotlib's when they are imported, by the prefix of their names.
COLORMAPS = {"cmc.": "cmcrameri.cm", "cet_": "colorcet"}


def get_colormap(name: str) -> Any:
    """The registered colormap of matplotlib, or of cmcrameri (cmc.…) or colorcet (cet_…) where they are installed."""
    import matplotlib

    for prefix, module in COLORMAPS.items():
        if name.startswith(prefix):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                package = module.split(".")[0]
                raise RenderError(
                    f"--colormap {name} is of {package}, which is not installed; pip install '.[colormaps]' in the source"
                ) from error
    check_choice("--colormap", name, list(matplotlib.colormaps), RenderError)
    return matplotlib.colormaps[name]


def color_table(colormap: str) -> Array:
    """(1024, 3) uint8 RGB of a colormap."""
    table: Array = get_colormap(colormap)(np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
    return table


def color_indices(scores: Array, norm: Norm, width: int, height: int, count: int = COLOURS) -> Array:
    """(height, width) uint16 places in a colour table of `count` rows: scores are interpolated (bilinear), then coloured."""
    # Interpolation is linear, so what is linear may go first, on the few cells; a power may not.
    shown = replace(norm, gamma=1.0).unit(norm.prepare(scores))
    if norm.gamma == 1:
        return _enlarge(shown * (count - 1) + 0.5, width, height).astype(np.uint16)
    large = np.maximum(_enlarge(shown, width, height), 0)  # rounding may leave a little less, which has no root
    found: Array = (large**norm.gamma * np.float32(count - 1) + np.float32(0.5)).astype(np.uint16)
    return found


def _enlarge(values: Array, width: int, height: int) -> Array:
    """(N, N) values at cells' centres -> (height, width) float32 at pixels' centres, bilinear; the edge's values beyond it."""
    values = values.astype(np.float32)
    if min(width, height) < len(values):  # smaller: each pixel averages what it covers
        return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    # A third of the time that Pillow takes for floats.
    before, share = _between(len(values), width)
    across = np.diff(values, axis=1)[:, before] * share + values[:, before]
    before, share = _between(len(values), height)
    enlarged: Array = np.diff(across, axis=0)[before]
    enlarged *= share[:, None]
    enlarged += across[before]
    return enlarged


@lru_cache(maxsize=64)
def _between(cells: int, pixels: int) -> tuple[Array, Array]:
    """For each pixel's centre the cell before it, and how far it is from there to the next [0, 1]."""
    where = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    before = np.minimum(where.astype(int), cells - 2)
    return before, (where - before).astype(np.float32)
