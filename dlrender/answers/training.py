"""Training: how surprise, entropy, calibration and success change from checkpoint to checkpoint, on the same episodes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.distinct import Key, key_of
from dlrender.answers.intervals import RESAMPLES, Interval, bootstrap, wilson
from dlrender.answers.points import can_be_taken
from dlrender.answers.roc import midranks
from dlrender.answers.steps import Episode, Step
from dlrender.answers.summary import BY_NAME, episodes_of, estimate
from dlrender.answers.table import Table, caches_in, density_of, read_tables
from dlrender.errors import RenderError
from dlscore.cache import open_cache
from dlscore.common.arrays import Array
from dlscore.common.text import reason_of
from dlscore.common.world import WORLD_SIZE
from dlscore.density.cells import log_window_density

CURVES = ("nll", "inside_95", "entropy", "error")  # of QUANTITIES
COLUMNS = ("step", "time", "surprise", "rank", "entropy", "error")
SHARP = 96  # cells a side of a still
MOMENTS = 2  # rows of stills


@dataclass(frozen=True)
class Still:
    """The density (SHARP, SHARP) [y, x] of one checkpoint at a step of an episode, over the world, and the recorded action.

    key: the data set and the index of its episode.
    """

    key: Key
    step: int
    log_density: Array
    recorded: Array
    surprise: float


@dataclass(frozen=True)
class Training:
    """Training steps (K,), the curves of CURVES and perhaps `success`, stills of each moment by checkpoint, and rank
    correlations of the NLL with the training steps and the success."""

    steps: Sequence[int]
    curves: Mapping[str, Sequence[Interval]]
    stills: Sequence[Sequence[Still]]
    spearman: Mapping[str, Interval]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "steps": list(self.steps),
            "curves": {name: [each.as_dict() for each in curve] for name, curve in self.curves.items()},
            "spearman": {name: each.as_dict() for name, each in self.spearman.items()},
        }


def parse_checkpoints(texts: Sequence[str], option: str = "checkpoint") -> dict[int, list[Path]]:
    """Training steps and their paths, by `STEPS=PATH,PATH…`; RenderError for other texts, and for steps that are there twice."""
    found: dict[int, list[Path]] = {}
    for text in texts:
        steps, equals, paths = text.partition("=")
        if not (equals and paths and steps.isascii() and steps.isdigit()):
            raise RenderError(
                f"{option} {text!r} is not understood; write training steps and caches, such as 5000=runs/5000"
            )
        if int(steps) in found:
            raise RenderError(f"{option} {steps} is given twice; name all of its caches at once, separated by commas")
        found[int(steps)] = [Path(path) for path in paths.split(",")]
    return dict(sorted(found.items()))


def read_training(
    checkpoints: Mapping[int, Sequence[Path]], evaluations: Mapping[int, Sequence[Path]] | None = None,
    method: str | None = None,
) -> Training:  # fmt: skip
    """Training from the caches of each checkpoint, files or folders. evaluations: LeRobot's eval_info.json, by training steps."""
    if len(checkpoints) < 2:
        raise RenderError(
            f"{len(checkpoints)} checkpoint is no training; name two or more, such as 400=runs/400 5000=runs/5000"
        )
    files = {steps: caches_in(list(places)) for steps, places in checkpoints.items()}
    tables = {steps: read_tables(each, method, COLUMNS, one=f"checkpoint {steps}") for steps, each in files.items()}
    _check_same(tables)
    curves = {name: [_required(name, table) for table in tables.values()] for name in CURVES}
    success = _successes(tables, evaluations or {})
    if success is not None:
        curves["success"] = success
    stills = [[_still(files[steps], moment, method) for steps in files] for moment in _moments(tables)]
    return Training(list(files), curves, stills, _correlations(tables, success))


def _required(name: str, table: Table) -> Interval:
    found = estimate(BY_NAME[name], table)
    if found is None:
        raise RenderError(f"the caches have no {name}; compute them again")
    return found


def read_success(path: Path) -> Interval:
    """The success rate in an eval_info.json that LeRobot wrote, with Wilson's interval."""
    try:
        info = json.loads(path.read_text())
        episodes = info.get("per_episode")
        if episodes:
            return wilson(sum(bool(each["success"]) for each in episodes), len(episodes))
        all_ = info.get("aggregated") or info["overall"]
        count, percent = int(all_["n_episodes"]), float(all_["pc_success"])
        if count < 1 or not 0 <= percent <= 100:
            raise ValueError(f"pc_success {percent:g} of {count} episodes is no share")
        return wilson(round(percent / 100 * count), count)
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise RenderError(f"{path} is no eval_info.json of LeRobot ({reason_of(error)})") from error


def spearman(x: Array, y: Array) -> float:
    """Rank correlation of (K,) and (K,), by midranks (Spearman 1904); nan where one of them is constant."""
    a, b = (midranks(values) - (len(values) + 1) / 2 for values in (x, y))
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm else math.nan


def _correlations(tables: Mapping[int, Table], success: Sequence[Interval] | None) -> dict[str, Interval]:
    # Of the NLL: episodes are drawn anew, the same for all checkpoints; of the success: binomial draws.
    totals = np.concatenate([_totals(table) for table in tables.values()], axis=1)
    steps = np.array(list(tables), dtype=float)

    def correlate(sums: Array, others: Array) -> Array:
        nll = sums[..., ::2] / sums[..., 1::2]
        return np.apply_along_axis(
            lambda both: spearman(*np.split(both, 2)),
            -1,
            np.concatenate([nll, np.broadcast_to(others, nll.shape)], axis=-1),
        )

    found = {"steps, nll": bootstrap(totals, lambda sums: correlate(sums, steps))}
    if success is not None:
        rate, trials = (np.array([getattr(each, name) for each in success]) for name in ("value", "episodes"))
        rates = np.random.default_rng(0).binomial(trials, rate, (RESAMPLES, len(rate))) / trials
        found["nll, success"] = bootstrap(totals, lambda sums: correlate(sums, rates if sums.ndim > 1 else rate))
    return found


def _totals(table: Table) -> Array:
    # (E, 2) surprise and steps of each episode, in the order of their keys: files may be in another for each checkpoint.
    rows = {_key(table, each[0]): each for each in episodes_of(table)}
    known = can_be_taken(table["surprise"])
    return np.array(
        [[table["surprise"][rows[key]][known[rows[key]]].sum(), known[rows[key]].sum()] for key in sorted(rows)]
    )


def _key(table: Table, row: int) -> Key:
    return str(table["dataset"][row]), int(table["episode"][row])


def _check_same(tables: Mapping[int, Table]) -> None:
    rows = {
        steps: set(zip(table["dataset"], table["episode"], table["step"], strict=True))
        for steps, table in tables.items()
    }
    first = next(iter(rows))
    for steps, each in rows.items():
        if each != rows[first]:
            raise RenderError(
                f"checkpoints {first} and {steps} are not of the same steps; score all on the same episodes"
            )


def _successes(tables: Mapping[int, Table], evaluations: Mapping[int, Sequence[Path]]) -> list[Interval] | None:
    if unknown := sorted(set(evaluations) - set(tables)):
        raise RenderError(f"--eval {unknown[0]} is of no checkpoint; choose from {', '.join(map(str, tables))}")
    for steps, paths in evaluations.items():
        if len(paths) > 1:
            raise RenderError(f"--eval {steps} names {len(paths)} files; name one eval_info.json")
    if evaluations and (missing := sorted(set(tables) - set(evaluations))):
        raise RenderError(
            f"--eval is missing for {', '.join(map(str, missing))}; give it for every checkpoint, or for none"
        )
    # The caches do not say: all checkpoints score the same episodes, which none of them, or one, has acted.
    return [read_success(evaluations[steps][0]) for steps in tables] if evaluations else None


def _moments(tables: Mapping[int, Table]) -> list[tuple[Key, int]]:
    # Episode and step at which the first and the last checkpoint differ most in surprise, of different episodes if there are.
    first, *_, last = tables.values()
    surprise = [
        {(_key(table, row), int(step)): table["surprise"][row] for row, step in enumerate(table["step"])}
        for table in (first, last)
    ]
    found: list[tuple[Key, int]] = []
    for moment in sorted(surprise[0], key=lambda each: -abs(surprise[1][each] - surprise[0][each])):
        if moment[0] not in [episode for episode, _ in found]:
            found.append(moment)
    return found[:MOMENTS]


def find_episode(files: Sequence[Path], key: Key, method: str | None = None) -> list[Step]:
    """The steps of one episode, from the caches of one checkpoint, with their densities read."""
    for file in files:
        with open_cache(file) as cache:
            if key_of(cache) == key:
                steps = list(Episode(cache, density_of(cache, method)).steps())
                for step in steps:
                    _ = step.mixture, step.log_density, step.episode.actions  # while the file is open
                return steps
    raise RenderError(f"no cache has episode {key[1]} of {key[0]}")


def _still(files: Sequence[Path], moment: tuple[Key, int], method: str | None) -> Still:
    step = next(each for each in find_episode(files, moment[0], method) if each.number == moment[1])
    whole = log_window_density(step.mixture, (0.0, 0.0), WORLD_SIZE, SHARP)
    return Still(moment[0], moment[1], whole, step.episode.actions[step.row], -step.log_density)
