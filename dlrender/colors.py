"""The colour scale: scores -> values in [0, 1] -> colours.

A score in nats is a logarithm, which falls without bound far from every mode, and what an estimate says far below its peak
is its own noise. Its scale therefore ends where the estimate stops to resolve it, below the lowest peak of the steps, or
`range_nats` below it. The scale of other scores goes from their minimum to their maximum.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice

NORMS = ("episode", "frame", "global", "rank")
COLOURS = 1024
TOLERANCE = 0.5  # nats: the standard error up to which a log density is resolved
LEAST, UNTOLD = 3.0, 6.0  # nats below the peak


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
    chosen: bool = False  # the user set the lower end
    depth: float = UNTOLD  # nats below its peak to which each step of a density is drawn whole

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
    range_nats: float | None,
    step: int | None = None,
    limits: Limits | None = None,
) -> Norm:
    """The norm over the scores of `method` in some caches, or in one `step` of them; reads one step at a time.

    kind: "episode" and "global" differ only in the caches that are passed; "frame" needs `step`; "rank" reads nothing.
    range_nats: how far below the peak of each step the scale goes; None for as far as the estimate resolves.
    """
    check_choice("--norm", kind, NORMS, RenderError)
    if range_nats is not None and not 0 < range_nats < np.inf:
        raise RenderError(f"--range-nats {range_nats:g} is not allowed; choose a finite number above 0")
    limits = limits or Limits()
    limits.check(kind)
    if kind == "rank":
        return Norm(0.0, 1.0, rank=True, gamma=limits.gamma)
    lowest, floor, high, deepest = np.inf, np.inf, -np.inf, 0.0
    for cache in caches:
        nats = str(cache.score_attrs(method)["units"]).startswith("nats")
        depth = (range_nats or resolved_nats(cache, method)) if nats else np.inf
        deepest = max(deepest, depth)
        for k in map(int, np.flatnonzero(cache.done)) if step is None else (step,):
            least, low, peak = step_ends(cache, method, k, depth)
            lowest, floor, high = min(lowest, least), min(floor, low), max(high, peak)
    if not np.isfinite([floor, high]).all():  # no cache was passed
        return Norm(0.0, 1.0, gamma=limits.gamma)
    ends = limits.apply(floor, high)
    return Norm(*ends, cut=bool(lowest < ends[0]), cut_above=bool(high > ends[1]), gamma=limits.gamma,
                chosen=limits.vmin is not None or limits.center is not None, depth=deepest)  # fmt: skip


def step_ends(
    cache: EpisodeCache, method: str, step: int, depth: float, scores: Array | None = None
) -> tuple[float, float, float]:
    """The least score of a step, and the ends of its colours: from `depth` below its peak, or from the least, to its peak."""
    scores = cache.score(method, step) if scores is None else scores
    least, peak = float(scores.min()), peak_of(cache, method, step, scores)
    return least, max(least, peak - depth), peak


def peak_of(cache: EpisodeCache, method: str, step: int, scores: Array | None = None) -> float:
    """The largest score of a step: of its mixture where the cache has one."""
    if not cache.has_mixture(method):
        return float((cache.score(method, step) if scores is None else scores).max())
    return cache.mixture(method, step).near_peak


def resolved_nats(cache: EpisodeCache, method: str) -> float:
    """How far below its peak a log density is resolved [nats]: to where its standard error is TOLERANCE in half the steps.

    Not less than 3 nats, within which a Gaussian has 95 % of its mass. A cache without errors is taken to resolve 6 nats.
    """
    found = cache.log_error(method)
    if found is None:
        return UNTOLD
    distances, errors = found
    within = np.median(errors[cache.done], axis=0) <= TOLERANCE
    last = len(distances) if within.all() else int(np.argmin(within))
    return max(LEAST, float(distances[last - 1]) if last else 0.0)


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


@lru_cache(maxsize=16)
def color_table(colormap: str) -> Array:
    """(1024, 3) uint8 RGB of a colormap."""
    table: Array = get_colormap(colormap)(np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
    return table
