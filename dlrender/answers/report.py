"""A report of a run on one page: what was scored, its summary with intervals, calibration, warnings, and the worst moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.calibration import Calibration, read_calibration
from dlrender.answers.distinct import check_distinct
from dlrender.answers.intervals import FEWEST, Interval
from dlrender.answers.summary import episodes_of, summarize
from dlrender.answers.table import Table, density_of, step_table
from dlscore.cache import LARGE_ERROR, LEAST_INSIDE, open_cache

WORST = 10  # moments
APART = 10  # steps between two moments of an episode, at least
OFF = 0.02  # mean rank of the policy's own draws from ½: less is no contradiction


@dataclass(frozen=True)
class Moment:
    """A step whose recorded action is very surprising: its file and row, episode, step, surprise and entropy [nats]."""

    file: Path
    row: int
    episode: int
    step: int
    surprise: float
    entropy: float


@dataclass(frozen=True)
class Report:
    """What was scored, by name; the summary; calibration; warnings; the worst moments, and the method that was asked."""

    facts: Mapping[str, str]
    table: Table
    summary: Mapping[str, Interval]
    calibration: Calibration
    warnings: Sequence[str]
    moments: Sequence[Moment]
    method: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        moments = [{**vars(moment), "file": str(moment.file)} for moment in self.moments]
        return {
            "run": dict(self.facts), "summary": {name: each.as_dict() for name, each in self.summary.items()},
            "calibration": self.calibration.as_dict(), "warnings": list(self.warnings), "worst": moments,
        }  # fmt: skip


def read_report(files: Sequence[Path], method: str | None = None) -> Report:
    """The report of some caches of one policy; RenderError for several policies."""
    check_distinct(files, "a report")
    calibration = read_calibration(files, method=method)
    tables: list[Table] = []
    facts: dict[str, str] = {}
    drifted: list[str] = []
    for file in files:
        with open_cache(file) as cache:
            name = density_of(cache, method)
            tables.append(step_table(cache, method=name))
            facts = facts or _facts(cache.attrs, cache.score_attrs(name)["parameters"])
            if cache.attrs.get("drift_warning"):
                drifted.append(f"episode {cache.episode}: {cache.attrs['drift_warning']}")
    table = {name: np.concatenate([each[name] for each in tables]) for name in tables[0]}
    episodes = len(episodes_of(table))
    facts = {"policy": str(table["policy"][0]), "data": ", ".join(sorted(set(table["dataset"].tolist()))),
             "scored": f"{len(table['step'])} steps of {episodes} episode{'s' * (episodes > 1)}",
             "density": ", ".join(sorted(set(table["density"].tolist()))), **facts}  # fmt: skip
    summary = summarize(table)
    warnings = [*_warnings(table, summary, episodes), *drifted]
    return Report(facts, table, summary, calibration, warnings, _worst(files, tables), name)


def _facts(attrs: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, str]:
    shown = {"seed": attrs.get("seed"), "policy revision": attrs.get("policy_revision"),
             "settings": ", ".join(f"{key} {value}" for key, value in sorted(parameters.items())),
             "computed": attrs.get("created_at"), "dlscore": dict(attrs.get("versions") or {}).get("dlscore")}  # fmt: skip
    return {name: str(value) for name, value in shown.items() if value not in (None, "")}


def _warnings(table: Table, summary: Mapping[str, Interval], episodes: int) -> list[str]:
    steps, found = len(table["step"]), []
    if episodes < FEWEST:
        found.append(f"no intervals: the run has {episodes} of the {FEWEST} episodes that they need")
    counted = (
        (
            table["error"] > LARGE_ERROR,
            f"the density's estimated error is above {LARGE_ERROR:g}; score with a higher --quality",
        ),
        (table["inside"] < LEAST_INSIDE, f"less than {LEAST_INSIDE:.0%} of the probability is inside the grid"),
        (np.isnan(table["modes"]), "modes cannot be told, since the error is above 0.1 or mass is outside the grid"),
    )
    found += [f"on {int(where.sum())} of {steps} steps {what}" for where, what in counted if where.any()]
    own = summary.get("own_rank")
    if own is not None and own.low is not None and own.high is not None and "executed" in table["density"]:
        off = own.low - 0.5 if own.low > 0.5 else 0.5 - own.high
        if off > 0 and abs(own.value - 0.5) > OFF:
            found.append(
                f"the policy's own draws contradict the density (mean rank {own}, not 0.50): what is said of the recorded "
                "actions is off by as much"
            )
    return found


def _worst(files: Sequence[Path], tables: Sequence[Table]) -> list[Moment]:
    everything = []
    for file, table in zip(files, tables, strict=True):
        columns = (table[name].tolist() for name in ("episode", "step", "surprise", "entropy"))
        everything += [Moment(file, row, *values) for row, values in enumerate(zip(*columns, strict=True))]
    found: list[Moment] = []
    for moment in sorted(everything, key=lambda each: -each.surprise):
        if all(moment.file != other.file or abs(moment.step - other.step) >= APART for other in found):
            found.append(moment)
    return found[:WORST]
