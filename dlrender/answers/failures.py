"""Failures: which statistic of the first seconds tells episodes that fail from those that succeed, and how early.

Success ends an episode early, so all are compared over the time that the shortest one has. A warning is given where a
statistic leaves a band that successes keep to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.intervals import mean_known
from dlrender.answers.points import NATS, only_taken
from dlrender.answers.roc import Auroc, aurocs
from dlrender.answers.summary import episodes_of
from dlrender.answers.table import Table, read_tables
from dlrender.errors import RenderError
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice

# Statistics that are tried, each the mean over the first seconds of a column; p is corrected for their number.
FEATURES = {
    "surprise": "surprise", "excess": "excess surprise", "entropy": "entropy",
    "energy_score": "energy score", "chunk_distance": "change of plan", "mode_switch": "jumps of the main mode",
    "prediction_distance": "distance from the prediction", "error": "error of the density",
}  # fmt: skip
FEWEST = 2  # episodes in each group
MISS = 0.1  # share of successes that may leave the band
SMOOTH = 1.0  # s over which a statistic is averaged before it is compared with the band


@dataclass(frozen=True)
class Course:
    """An episode's outcome, and one statistic over its time [s], averaged over the SMOOTH seconds before."""

    episode: int
    failed: bool
    time: Array
    value: Array


@dataclass(frozen=True)
class Band:
    """The bound (T,) at times (T,) [s] that a success exceeds with a probability of MISS at most, and when failures exceed it.

    leads: seconds from the warning to the end of each failure, None for those without; false_alarms: successes beyond it, each
    judged by the others.
    """

    time: Array
    bound: Array
    leads: Sequence[float | None]
    false_alarms: int


@dataclass(frozen=True)
class Failures:
    """Features (F, N) of N episodes and their AUROCs, the courses of one feature, and its band or why there is none."""

    names: Sequence[str]
    values: Array
    failed: Array
    areas: Sequence[Auroc]
    seconds: float
    feature: str
    courses: Sequence[Course]
    band: Band | None
    why: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        band = None if self.band is None else {"leads": list(self.band.leads), "false_alarms": self.band.false_alarms}
        return {
            "episodes": len(self.failed), "failures": int(self.failed.sum()), "seconds": self.seconds,
            "features": {name: vars(area) for name, area in zip(self.names, self.areas, strict=True)},
            "feature": self.feature, "band": band, "no_band": self.why or None,
        }  # fmt: skip


def read_failures(
    files: Sequence[Path], feature: str = "entropy", seconds: float | None = None, method: str | None = None
) -> Failures:
    """What tells failures from successes in some caches of rollouts; RenderError where they do not say how they ended."""
    check_choice("--feature", feature, FEATURES, RenderError)
    return find_failures(
        read_tables(files, method, columns=["step", "time", "episode_success", *FEATURES], one="this figure"),
        feature,
        seconds,
    )


def find_failures(table: Table, feature: str = "entropy", seconds: float | None = None) -> Failures:
    """The same from a table of steps. seconds: of each episode that are compared, by default those of the shortest.

    Actions that the policy never takes, whose surprise is infinite, are left out of its means.
    """
    table = table | {name: only_taken(table[name], table["surprise"]) for name in NATS}
    episodes = episodes_of(table)
    ends = np.array([table["episode_success"][rows[0]] for rows in episodes])
    if np.isnan(ends).any():
        raise RenderError(
            "the caches do not say whether their episodes succeed; score rollouts that record it (dlscore rollout)"
        )
    failed = ends == 0
    if min(failed.sum(), (~failed).sum()) < FEWEST:
        raise RenderError(
            f"{int(failed.sum())} of {len(failed)} episodes fail; failures and successes are compared from {FEWEST} of each"
        )
    shortest = min(float(table["time"][rows].max()) for rows in episodes)
    if seconds is not None and not 0 < seconds <= shortest + 1e-6:
        raise RenderError(f"--seconds {seconds:g} is not allowed; the shortest episode has {shortest:g}")
    first = shortest if seconds is None else seconds
    early = [rows[table["time"][rows] <= first + 1e-6] for rows in episodes]
    means = {name: np.array([mean_known(table[name][rows]) for rows in early]) for name in FEATURES}
    names = [name for name, each in means.items() if np.isfinite(each).all()]
    if feature not in names:
        raise RenderError(f"--feature {feature} is not there for every episode; choose from {', '.join(names)}")
    values = np.stack([means[name] for name in names])
    courses = [_course(table, rows, bool(bad), feature) for rows, bad in zip(episodes, failed, strict=True)]
    band, why = conformal_band(courses)
    return Failures(names, values, failed, aurocs(values, failed), first, feature, courses, band, why)


def conformal_band(courses: Sequence[Course]) -> tuple[Band | None, str]:
    """A bound that rises and falls with the mean of the successes, and "", or None and why there is none.

    At each time it is the mean plus h deviations of the successes; h is a conformal quantile of the largest standardised values
    of the successes, each judged by the others (Vovk, Gammerman & Shafer 2005; for episodes: Xu et al. 2025). Failures are
    warned of where they exceed it.
    """
    good, bad = [c for c in courses if not c.failed], [c for c in courses if c.failed]
    place = math.ceil((len(good) + 1) * (1 - MISS))
    if place > len(good):
        return None, f"a band needs {math.ceil(1 / MISS) - 1} successes or more, not {len(good)}"
    scores = []
    for course in good:
        mean, deviation = _level([other for other in good if other is not course], course.time)
        scores.append(float(np.nanmax((course.value - mean) / deviation)))
    limit = sorted(scores)[place - 1]
    leads: list[float | None] = []
    for course in bad:
        mean, deviation = _level(good, course.time)
        beyond = np.flatnonzero(course.value > mean + limit * deviation)
        leads.append(float(course.time[-1] - course.time[beyond[0]]) if len(beyond) else None)
    time = max((course.time for course in courses), key=len)
    mean, deviation = _level(good, time)
    return Band(time, mean + limit * deviation, leads, int(np.sum(np.array(scores) > limit))), ""


def _level(courses: Sequence[Course], time: Array) -> tuple[Array, Array]:
    # Mean and deviation of courses at some times; what has ended keeps its last value, so that both are of all courses.
    at = np.stack([np.interp(time, course.time, course.value) for course in courses])
    deviation = at.std(axis=0, ddof=1)
    return at.mean(axis=0), np.maximum(deviation, 1e-3 * float(np.abs(at).mean()) + 1e-12)


def _course(table: Table, rows: Array, failed: bool, feature: str) -> Course:
    time, value = table["time"][rows], table[feature][rows]
    known = np.isfinite(value)
    time, value = time[known], value[known]
    smooth = [float(value[(time > now - SMOOTH) & (time <= now)].mean()) for now in time]
    return Course(int(table["episode"][rows[0]]), failed, time, np.array(smooth))
