"""Does a density agree with the actions that the policy itself draws? Every cache has both.

If actions are drawn from the density, their ranks among its highest-density regions (`regions.hdr_ranks`) are uniform: the
mean is ½, and a share α lies in the region of level α. A mean below ½ says that the density is too wide, one above that it is
too narrow. Steps next to each other err alike, so intervals come from a bootstrap over blocks of BLOCK steps (circular, Politis
& Romano 1992), and are never narrower than those of independent ranks. Few steps have no interval, and only what is far off
contradicts their densities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlscore.common.arrays import Array

__all__ = ["LEVELS", "Calibration", "Estimate", "calibrate"]

LEVELS = (0.5, 0.8, 0.95)
BLOCK = 10  # steps: ranks of neighbours are alike for about 5
RESAMPLES = 1000
FEWEST = 5  # blocks from which an interval can be had
INTERVAL, VERDICT = 1.96, 2.5  # normal quantiles: 95 %, and 98.8 % for each of the four numbers, 95 % for all together
MEAN_OFF, SHARE_OFF = 0.01, 0.02  # less is no contradiction, however sure
FEW_OFF = 0.15  # the same of a mean and of shares that have no interval: few steps in a row may all err a little
BINOMIAL = 4.0  # variance of a count, from which it is nearly normal


@dataclass(frozen=True)
class Estimate:
    """A mean over an episode, its 95 % interval (None of fewer than 50 steps), and what it would be in a true density."""

    value: float
    expected: float
    interval: tuple[float, float] | None
    contradicts: bool  # the value is surely not the expected one


@dataclass(frozen=True)
class Calibration:
    """The mean rank of a policy's own actions, and the shares that lie in the regions of each of LEVELS."""

    draws: int
    mean_rank: Estimate
    coverage: tuple[Estimate, ...]

    @property
    def verdict(self) -> str:
        """ "" unless the actions contradict the density; else how."""
        if not any(each.contradicts for each in (self.mean_rank, *self.coverage)):
            return ""
        if self.mean_rank.contradicts:
            return "too wide" if self.mean_rank.value < self.mean_rank.expected else "too narrow"
        wrong = next(each for each in self.coverage if each.contradicts)
        return "too wide" if wrong.value > wrong.expected else "too narrow"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        shown = {"value", "interval"}
        return {
            "draws": self.draws,
            "mean_rank": {name: value for name, value in vars(self.mean_rank).items() if name in shown},
            "coverage": [
                {"level": each.expected, "value": each.value, "interval": each.interval} for each in self.coverage
            ],
            "verdict": self.verdict,
        }


def calibrate(ranks: Array, seed: int = 0) -> Calibration:
    """From the ranks (T, M) of M actions of the policy at each of T steps in a row."""
    steps, draws = ranks.shape
    within = [ranks <= level for level in LEVELS]
    each = np.stack([ranks.mean(axis=1), *(inside.mean(axis=1) for inside in within)], axis=-1)  # (T, 4)
    expected = np.array([0.5, *LEVELS])
    variance = np.array([1 / 12, *(level * (1 - level) for level in LEVELS)])  # of one uniform rank
    value, blocks = each.mean(axis=0), steps / BLOCK
    if blocks < FEWEST:
        sure = np.maximum(VERDICT * np.sqrt(variance / ranks.size), FEW_OFF)  # ranks in a true density are independent
        enough = np.array([True, *(variance[1:] * ranks.size >= BINOMIAL)])
        off = enough & (np.abs(value - expected) > sure)
        found = [Estimate(float(v), float(e), None, bool(o)) for v, e, o in zip(value, expected, off, strict=True)]
        return Calibration(draws, found[0], tuple(found[1:]))
    resampled = _resample(each, np.random.default_rng(seed))
    error = np.maximum(resampled.std(axis=0) * np.sqrt(blocks / (blocks - 1)), np.sqrt(variance / ranks.size))
    found = []
    for k, off in enumerate([MEAN_OFF, *[SHARE_OFF] * len(LEVELS)]):
        half, sure = (_student(quantile, blocks - 1) * error[k] for quantile in (INTERVAL, VERDICT))
        away = abs(value[k] - expected[k])
        low, high = float(np.clip(value[k] - half, 0, 1)), float(np.clip(value[k] + half, 0, 1))
        found.append(Estimate(float(value[k]), float(expected[k]), (low, high), bool(away > max(sure, off))))
    return Calibration(draws, found[0], tuple(found[1:]))


def _resample(each: Array, rng: np.random.Generator) -> Array:
    # (RESAMPLES, 4) means over as many steps, in blocks that start anywhere
    steps = len(each)
    starts = rng.integers(0, steps, (RESAMPLES, -(-steps // BLOCK)))
    index = (starts[:, :, None] + np.arange(BLOCK)) % steps
    means: Array = each[index.reshape(RESAMPLES, -1)[:, :steps]].mean(axis=1)
    return means


def _student(quantile: float, freedom: float) -> float:
    # Student's quantile from the normal one (Abramowitz & Stegun 1964, 26.7.5), to 2 % from 4 degrees of freedom on
    z, v = quantile, freedom
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
