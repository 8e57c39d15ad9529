"""Two policies on the same observations: how far their densities are apart, beside their own errors, and whom the record favours.

Steps are paired by data set, episode and step. A null row is the first policy again, scored with another seed: what differs
there is the estimate's own noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.distinct import Key, check_distinct, key_of, policy_of
from dlrender.answers.intervals import Interval, bootstrap
from dlrender.answers.points import can_be_taken, weighted_points, window_around
from dlrender.answers.samples import distances
from dlrender.answers.steps import Episode, Step
from dlrender.answers.table import Table, density_of
from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.arrays import Array
from dlscore.density.cells import log_window_density
from dlscore.density.mixture import Mixture

SHARP = 160  # cells a side of the map
POINTS = 512  # for a total variation to 0.01
FEWER = 4  # every so manieth point is enough for the energy distance
SAME = 0.01  # px: recorded actions of one step differ by less


@dataclass(frozen=True)
class Pairs:
    """Paired steps: columns dataset, episode, step, tv, tv_error, js, energy_distance, surprise_a, surprise_b, (rows,) each.

    left_out: how many `episodes` only one of the two has, and how many `steps` of the paired episodes.
    """

    a: str
    b: str
    columns: Table
    left_out: dict[str, int]

    def mean(self, column: str) -> Interval:
        """The mean of a column, with its interval over episodes."""
        return bootstrap(self._totals(self.columns[column]), lambda sums: sums[..., 0] / sums[..., 1])

    def nll_difference(self) -> Interval:
        """Mean surprise under B less that under A [nats a step]: above 0 where the record favours A."""
        known = np.isfinite(self.difference)
        values = np.where(known, self.difference, 0)
        totals = np.array([[values[rows].sum(), known[rows].sum()] for rows in self.rows_of().values()])
        with np.errstate(invalid="ignore"):
            return bootstrap(totals, lambda sums: sums[..., 0] / sums[..., 1])

    @property
    def difference(self) -> Array:
        """(rows,) surprise under B less that under A; nan where the box of one of them does not have the recorded action."""
        a, b = self.columns["surprise_a"], self.columns["surprise_b"]
        return np.where(can_be_taken(a) & can_be_taken(b), b - a, np.nan)

    def within_error(self) -> float:
        """The share of the steps whose total variation is within the estimates' own error."""
        return float((self.columns["tv"] <= self.columns["tv_error"]).mean())

    def rows_of(self) -> dict[Key, Array]:
        """The rows of each episode of each data set."""
        rows: dict[Key, list[int]] = {}
        keys = zip(self.columns["dataset"].tolist(), self.columns["episode"].tolist(), strict=True)
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        return {key: np.array(rows[key]) for key in sorted(rows)}

    def left_out_text(self) -> str:
        """What was not compared, in a line."""
        episodes, steps = self.left_out["episodes"], self.left_out["steps"]
        return (
            f"not compared are {episodes} episode{'s' * (episodes != 1)} that only one of the two has, and {steps} "
            f"step{'s' * (steps != 1)} of the others"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "a": self.a, "b": self.b, "steps": len(self.columns["tv"]), "within_error": self.within_error(),
            "left_out": self.left_out,
            **{name: self.mean(name).as_dict() for name in ("tv", "js", "energy_distance")},
            "nll_difference": self.nll_difference().as_dict(),
        }  # fmt: skip

    def _totals(self, values: Array) -> Array:
        return np.array([[values[rows].sum(), len(rows)] for rows in self.rows_of().values()])


@dataclass(frozen=True)
class Map:
    """Log densities of A and B at a step, (SHARP, SHARP) [y, x] on a window (left, top, side) px, and the recorded action.

    key: the data set and the index of its episode.
    """

    key: Key
    step: int
    log_a: Array
    log_b: Array
    recorded: Array
    window: tuple[float, float, float]


@dataclass(frozen=True)
class Comparison:
    """The pairs of A and B, those of the null (A with another seed) or None, and the map of a step."""

    pairs: Pairs
    null: Pairs | None
    map: Map

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"pairs": self.pairs.as_dict(), "null": None if self.null is None else self.null.as_dict()}


def read_comparison(
    a: Sequence[Path], b: Sequence[Path], null: Sequence[Path] = (), method: str | None = None
) -> Comparison:
    """Compare the caches of A with those of B, and with those of the null. The map is of the step that differs most."""
    pairs = _read_pairs(a, b, method)
    again = _read_pairs(a, null, method, null=True) if null else None
    most = int((pairs.columns["tv"] - pairs.columns["tv_error"]).argmax())
    key = str(pairs.columns["dataset"][most]), int(pairs.columns["episode"][most])
    return Comparison(pairs, again, _map(a, b, key, int(pairs.columns["step"][most]), method))


def distances_between(p: Mixture, q: Mixture, rng: np.random.Generator) -> dict[str, float]:
    """tv and js [nats] of two densities, and their energy distance [px].

    With g = |p − q| / (p + q), TV = ½ E_p[g] + ½ E_q[g], and the Jensen-Shannon divergence ½ E_p[log 2p / (p + q)] + the same
    of q: expectations of bounded functions, so that few points are enough. (A Kullback-Leibler divergence is not bounded.)
    """
    x, y = weighted_points(p, rng, POINTS), weighted_points(q, rng, POINTS)
    ratio_x, ratio_y = q.log_density(x.point) - x.log_density, p.log_density(y.point) - y.log_density
    tv = 0.5 * sum(float(each.weight @ np.abs(np.tanh(r / 2))) for each, r in ((x, ratio_x), (y, ratio_y)))
    js = 0.5 * sum(float(w.weight @ (np.log(2) - np.logaddexp(0, r))) for w, r in ((x, ratio_x), (y, ratio_y)))
    some = [(each.point[::FEWER], each.weight[::FEWER] / each.weight[::FEWER].sum()) for each in (x, y)]
    (u, wu), (v, wv) = some
    energy = 2 * float(wu @ distances(u, v) @ wv) - float(wu @ distances(u, u) @ wu) - float(wv @ distances(v, v) @ wv)
    return {"tv": min(max(tv, 0.0), 1.0), "js": max(js, 0.0), "energy_distance": max(energy, 0.0)}


def _read_pairs(a: Sequence[Path], b: Sequence[Path], method: str | None, null: bool = False) -> Pairs:
    check_distinct(a)
    check_distinct(b)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        first, second = (
            {key_of(c): c for c in (stack.enter_context(open_cache(f)) for f in files)} for files in (a, b)
        )
        common = [key for key in first if key in second]
        if not common:
            raise RenderError("the two have no episode in common; score both policies on the same episodes")
        label_a, label_b = _label(first, null), _label(second, null)
        if null and label_a == label_b:
            raise RenderError(
                f"the null has the same policy and seed as the first ({label_a}); score it with another --seed"
            )
        if null and _policies(first) != _policies(second):
            raise RenderError("the null is of another policy than the first; score the first again with another --seed")
        left_out = {"episodes": len(first.keys() ^ second.keys()), "steps": 0}
        for key in common:
            found, alone = _pair(first[key], second[key], method)
            rows += found
            left_out["steps"] += alone
    return Pairs(label_a, label_b, {name: np.array([row[name] for row in rows]) for name in rows[0]}, left_out)


def _pair(a: EpisodeCache, b: EpisodeCache, method: str | None) -> tuple[list[dict[str, Any]], int]:
    # A row for each step that both have, and the number of the others.
    steps = [{step.number: step for step in Episode(c, density_of(c, method)).steps()} for c in (a, b)]
    numbers = sorted(steps[0].keys() & steps[1].keys())
    if not numbers:
        raise RenderError(f"{a.path} and {b.path} have no step in common; score both with the same steps")
    rows = [_pair_step(steps[0][number], steps[1][number]) for number in numbers]
    return rows, len(steps[0].keys() ^ steps[1].keys())


def _pair_step(p: Step, q: Step) -> dict[str, Any]:
    if np.abs(p.episode.actions[p.row] - q.episode.actions[q.row]).max() > SAME:
        raise RenderError(
            f"step {p.number} of {p.episode.cache.path} and of {q.episode.cache.path} have other recorded actions; compare "
            "policies on the same episodes"
        )
    error = 2 * np.hypot(p.check("error"), q.check("error"))
    return {
        **dict(zip(("dataset", "episode"), key_of(p.episode.cache), strict=True)), "step": p.number, "tv_error": error,
        "surprise_a": -p.log_density, "surprise_b": -q.log_density, **distances_between(p.mixture, q.mixture, p.rng(4)),
    }  # fmt: skip


def find_steps(a: Sequence[Path], b: Sequence[Path], key: Key, method: str | None = None) -> list[tuple[Step, Step]]:
    """The steps of one episode that both have, in order, with all that is asked of them read."""
    found = []
    for files in (a, b):
        (file,) = [each for each in files if _is_of(each, key)]
        with open_cache(file) as cache:
            steps = list(Episode(cache, density_of(cache, method)).steps())
            for step in steps:
                _ = step.mixture, step.points, step.episode.actions  # while the file is open
            found.append({step.number: step for step in steps})
    return [(found[0][number], found[1][number]) for number in sorted(found[0].keys() & found[1].keys())]


def _map(a: Sequence[Path], b: Sequence[Path], key: Key, step: int, method: str | None) -> Map:
    p, q = next(pair for pair in find_steps(a, b, key, method) if pair[0].number == step)
    recorded = p.episode.actions[p.row]
    window = window_around(np.concatenate([p.points.likely(0.99), q.points.likely(0.99), recorded[None]]))
    log_a, log_b = (log_window_density(each.mixture, window[:2], window[2], SHARP) for each in (p, q))
    return Map(key, step, log_a, log_b, recorded, window)


def _is_of(file: Path, key: Key) -> bool:
    with open_cache(file) as cache:
        return key_of(cache) == key


def _policies(caches: dict[Key, EpisodeCache]) -> set[str]:
    return {policy_of(cache) for cache in caches.values()}


def _label(caches: dict[Key, EpisodeCache], seed: bool) -> str:
    names = sorted(_policies(caches))
    if len(names) != 1:
        raise RenderError(f"the caches are of several policies ({', '.join(names)}); give those of one policy")
    seeds = sorted({cache.seed for cache in caches.values()})
    return f"{names[0]}, seed {', '.join(map(str, seeds))}" if seed else names[0]
