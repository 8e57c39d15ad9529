"""Intervals: by a bootstrap over episodes, since steps of one episode are alike, and Wilson's for shares of episodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.proportions import NORMAL_95, wilson_interval

FEWEST = 5  # episodes, below which there is no interval: one episode would give a width of 0, three hardly more
RESAMPLES = 2000
LEVEL = 0.95
Z = NORMAL_95  # normal quantile of LEVEL


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval; `low` and `high` are None for fewer than FEWEST episodes, and where there is none."""

    value: float
    low: float | None
    high: float | None
    episodes: int

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON."""
        return {**vars(self), "value": self.value if math.isfinite(self.value) else None}

    def __str__(self) -> str:
        shown = _digits(self.value, self.high if self.low is None or self.high is None else self.high - self.low)
        if self.low is None or self.high is None:
            return f"{self.value:.{shown}f}"
        return f"{self.value:.{shown}f} [{self.low:.{shown}f}, {self.high:.{shown}f}]"


def mean_known(values: Array) -> float:
    """The mean of the values that are finite; nan of none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def bootstrap(
    totals: Array, statistic: Callable[[Array], Array], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """The interval of a statistic of totals (E, K), one row an episode, by resampling episodes.

    statistic: of sums (..., K) over episodes, gives (...). The percentiles are those that make the interval of a mean as wide as
    Student's (Hesterberg 2015, section 4.3: the expanded percentile interval), since plain ones are too narrow for few episodes.
    """
    episodes = len(totals)
    value = float(statistic(totals.sum(axis=0)))
    if episodes < FEWEST:
        return Interval(value, None, None, episodes)
    low, high = (float(end) for end in percentiles(totals, statistic, seed, resamples))
    known = math.isfinite(low) and math.isfinite(high)
    return Interval(value, low if known else None, high if known else None, episodes)


def percentiles(
    totals: Array, statistic: Callable[[Array], Array], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Array, Array]:
    """The ends of that interval for a statistic that gives any shape: (..., K) → (..., …); nan where it is never finite."""
    episodes = len(totals)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(episodes, np.full(episodes, 1 / episodes), resamples)
    found = np.asarray(statistic(counts @ totals))
    reach = math.sqrt(episodes / (episodes - 1)) * student(Z, episodes - 1)
    tail = 0.5 * math.erfc(reach / math.sqrt(2))
    kept = found[np.isfinite(found).reshape(len(found), -1).all(axis=1)]
    if not len(kept):
        return np.full(found.shape[1:], np.nan), np.full(found.shape[1:], np.nan)
    low, high = np.quantile(kept, [tail, 1 - tail], axis=0)
    return low, high


def wilson(successes: int, trials: int) -> Interval:
    """The share of successes with Wilson's score interval (1927), which holds for few trials and at 0 and 1."""
    if not trials:
        return Interval(math.nan, None, None, 0)
    return Interval(successes / trials, *wilson_interval(successes, trials), trials)


def student(z: float, freedom: float) -> float:
    """Student's quantile from the normal one `z` (Abramowitz & Stegun 1964, 26.7.5), to 2 % from 4 degrees of freedom on."""
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + sum(term / freedom ** (k + 1) for k, term in enumerate(terms))


def _digits(value: float, width: float | None) -> int:
    # Decimals that show two figures of the interval's width, or three of a value alone.
    scale = abs(width if width else value)
    figures = 2 if width else 3
    return (
        2 if not (scale > 0 and math.isfinite(scale)) else min(4, max(0, figures - 1 - math.floor(math.log10(scale))))
    )
