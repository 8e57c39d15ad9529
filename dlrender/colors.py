"""The colour scale: scores -> values in [0, 1] -> colours.

A score in nats is a logarithm, which falls without bound far from every mode. Its scale therefore ends `range_nats`
below the largest value (e^-10 of the peak by default). The scale of other scores goes from their minimum to their maximum.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice

NORMS = ("episode", "frame", "global", "rank")
COLOURS = 1024


@dataclass(frozen=True)
class Limits:
    """The ends of the colour scale that a user sets, a power, and the score at its centre (for diverging colormaps)."""

    vmin: float | None = None
    vmax: float | None = None
    gamma: float = 1.0
    center: float | None = None

    def check(self, kind: str) -> None:
        """Raise RenderError if the limits contradict each other or the kind of norm."""
        for name, value in (("--vmin", self.vmin), ("--vmax", self.vmax), ("--center", self.center)):
            if value is not None and not np.isfinite(value):
                raise RenderError(f"{name} {value} is not allowed; choose a finite number")
            if value is not None and kind == "rank":
                raise RenderError(
                    f"{name} {value:g} has no meaning with --norm rank, whose colours are ranks; leave out one of them"
                )
        if not 0 < self.gamma < np.inf:
            raise RenderError(f"--gamma {self.gamma:g} is not allowed; choose a finite number above 0")
        if self.vmin is not None and self.vmax is not None and self.vmin >= self.vmax:
            raise RenderError(f"--vmin {self.vmin:g} is not below --vmax {self.vmax:g}; swap them")
        if self.center is not None and (self.vmin is not None or self.vmax is not None):
            raise RenderError(
                "--center sets both ends of the scale, at equal distance from it; leave out --vmin and --vmax"
            )

    def apply(self, low: float, high: float) -> tuple[float, float]:
        """The ends of the scale for scores from `low` to `high`; RenderError if the limits leave no scale."""
        if self.center is not None:
            half = max(abs(high - self.center), abs(self.center - low))
            return self.center - half, self.center + half
        ends = low if self.vmin is None else self.vmin, high if self.vmax is None else self.vmax
        if (self.vmin is not None or self.vmax is not None) and ends[0] >= ends[1]:
            raise RenderError(
                f"the scores go from {low:g} to {high:g}, and --vmin and --vmax leave no scale: it would go from "
                f"{ends[0]:g} to {ends[1]:g}; choose other limits"
            )
        return ends


@dataclass(frozen=True)
class Norm:
    """The scores at the two ends of the colour scale; with `rank`, scores become ranks first."""

    low: float
    high: float
    rank: bool = False
    cut: bool = False  # values below `low` exist
    cut_above: bool = False  # values above `high` exist
    gamma: float = 1.0

    def prepare(self, scores: Array) -> Array:
        """(N, N) scores as they are shown: clipped to the ends, or each cell's rank, the share of cells below it [0, 1]."""
        if self.rank:
            # Equal scores share a rank, so a plateau has one colour.
            return np.searchsorted(np.sort(scores, axis=None), scores) / (scores.size - 1)
        return np.clip(scores, self.low, self.high)

    def unit(self, values: Array) -> Array:
        """Prepared scores as values in [0, 1]."""
        span = self.high - self.low
        if span <= 0:
            return np.zeros_like(values)
        unit = np.clip((values - self.low) / span, 0, 1)
        return unit if self.gamma == 1 else unit**self.gamma

    def of_matplotlib(self) -> Any:
        """The same scale as a norm of matplotlib."""
        from matplotlib.colors import Normalize, PowerNorm

        plain = self.gamma == 1
        return Normalize(self.low, self.high) if plain else PowerNorm(self.gamma, self.low, self.high)


def make_norm(
    kind: str,
    caches: Iterable[EpisodeCache],
    method: str,
    range_nats: float,
    step: int | None = None,
    limits: Limits | None = None,
) -> Norm:
    """The norm over the scores of `method` in some caches, or in one `step` of them; reads one step at a time.

    kind: "episode" and "global" differ only in the caches that are passed; "frame" needs `step`; "rank" reads nothing.
    """
    check_choice("--norm", kind, NORMS, RenderError)
    if not 0 < range_nats < np.inf:
        raise RenderError(f"--range-nats {range_nats:g} is not allowed; choose a finite number above 0")
    limits = limits or Limits()
    limits.check(kind)
    if kind == "rank":
        return Norm(0.0, 1.0, rank=True, gamma=limits.gamma)
    low, high, logarithmic = np.inf, -np.inf, False
    for cache in caches:
        logarithmic = str(cache.score_attrs(method)["units"]).startswith("nats")
        for k in map(int, np.flatnonzero(cache.done)) if step is None else (step,):
            scores = cache.score(method, k)
            low, high = min(low, float(scores.min())), max(high, float(scores.max()))
    floor = max(low, high - range_nats) if logarithmic else low
    if not np.isfinite([low, high]).all():  # no cache was passed
        return Norm(0.0, 1.0, gamma=limits.gamma)
    ends = limits.apply(floor, high)
    return Norm(*ends, cut=bool(low < ends[0]), cut_above=bool(high > ends[1]), gamma=limits.gamma)


# Packages that register colormaps on import, by the prefix of their names.
COLORMAPS = {"cmc.": "cmcrameri.cm", "cet_": "colorcet"}


def known_colormaps() -> list[str]:
    """Names of the colormaps of matplotlib and of the installed packages of COLORMAPS."""
    import matplotlib

    for module in COLORMAPS.values():
        with suppress(ModuleNotFoundError):
            importlib.import_module(module)
    return list(matplotlib.colormaps)


def get_colormap(name: str) -> Any:
    """A registered colormap of matplotlib, cmcrameri (cmc.…) or colorcet (cet_…)."""
    import matplotlib

    for prefix, module in COLORMAPS.items():
        if name.startswith(prefix):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                package = module.split(".")[0]
                raise RenderError(
                    f"--colormap {name} belongs to {package}, which is not installed; pip install '.[colormaps]' in the source"
                ) from error
    check_choice("--colormap", name, list(matplotlib.colormaps), RenderError)
    return matplotlib.colormaps[name]


def color_table(colormap: str) -> Array:
    """(1024, 3) uint8 RGB of a colormap."""
    table: Array = get_colormap(colormap)(np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
    return table


def color_indices(scores: Array, norm: Norm, width: int, height: int, count: int = COLOURS) -> Array:
    """(height, width) uint16 rows of a colour table with `count` rows. Scores are interpolated (bilinear) before colouring."""
    # Interpolation is linear, so the linear part of the norm may run first, on the few cells; the power may not.
    shown = replace(norm, gamma=1.0).unit(norm.prepare(scores))
    if norm.gamma == 1:
        return _enlarge(shown * (count - 1) + 0.5, width, height).astype(np.uint16)
    large = np.maximum(_enlarge(shown, width, height), 0)  # rounding may leave values just below 0, which have no root
    indices: Array = (large**norm.gamma * np.float32(count - 1) + np.float32(0.5)).astype(np.uint16)
    return indices


def _enlarge(values: Array, width: int, height: int) -> Array:
    """(N, N) values at cells' centres -> (height, width) float32 at pixels' centres, bilinear; edge values continue outwards."""
    values = values.astype(np.float32)
    if min(width, height) < len(values):  # shrinking: each pixel averages the cells that it covers
        return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    # This takes a third of the time of Pillow's resize of floats.
    before, share = _between(len(values), width)
    across = np.diff(values, axis=1)[:, before] * share + values[:, before]
    before, share = _between(len(values), height)
    enlarged: Array = np.diff(across, axis=0)[before]
    enlarged *= share[:, None]
    enlarged += across[before]
    return enlarged


@lru_cache(maxsize=64)
def _between(cells: int, pixels: int) -> tuple[Array, Array]:
    """For each pixel's centre: the cell before it, and the fraction [0, 1] of the way to the next cell."""
    where = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    before = np.minimum(where.astype(int), cells - 2)
    return before, (where - before).astype(np.float32)
