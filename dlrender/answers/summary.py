"""What a table of steps says in all: each quantity with its interval over episodes. A quantity is one line of QUANTITIES."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrender.answers.columns import LEVELS
from dlrender.answers.intervals import Interval, bootstrap, wilson
from dlrender.answers.points import can_be_taken, only_taken
from dlrender.answers.table import Table
from dlscore.common.arrays import Array

ALPHAS = np.linspace(0, 1, 101)  # levels at which calibration is looked at


@dataclass(frozen=True)
class Quantity:
    """A statistic of the means over steps of some numbers a step: values (rows, K) → means (..., K) → statistic (...)."""

    name: str
    units: str
    meaning: str
    values: Callable[[Table], Array]
    statistic: Callable[[Array], Array] = lambda means: means[..., 0]
    by_episode: bool = False  # each episode counts once, however long


def mean_of(column: str) -> Callable[[Table], Array]:
    """A column as it is."""
    return lambda table: table[column][:, None]


def taken(column: str, by: str = "surprise") -> Callable[[Table], Array]:
    """A column where the policy's box has the recorded action; nan where not: there the surprise `by` is infinite."""
    return lambda table: only_taken(table[column], table[by])[:, None]


def beyond_box(table: Table) -> Array:
    """1 where the policy's box does not have the recorded action."""
    return 1.0 - can_be_taken(table["surprise"])[:, None]


def within(level: float) -> Callable[[Table], Array]:
    """1 where the recorded action is in the region of a level."""
    return lambda table: _where(table["rank"], table["rank"] <= level)[:, None]


def levels_reached(table: Table) -> Array:
    """(rows, levels) 1 where the rank is at most each of ALPHAS."""
    return _where(table["rank"][:, None], table["rank"][:, None] <= ALPHAS)


def calibration_error(shares: Array) -> Array:
    """∫ |F(α) − α| dα of shares (..., levels) inside the regions of ALPHAS: 0 when calibrated, ½ at most."""
    away = np.abs(shares - ALPHAS)
    area: Array = ((away[..., 1:] + away[..., :-1]) / 2 * np.diff(ALPHAS)).sum(axis=-1)
    return area


def multimodal(table: Table) -> Array:
    """1 where there is more than one mode; nan where it cannot be told."""
    return _where(table["modes"], table["modes"] > 1)[:, None]


def own_reward(table: Table) -> Array:
    """The best reward of episodes in which the policy itself acted; nan in others, which say nothing of it."""
    return np.where(acts_itself(table), table["episode_reward"], np.nan)[:, None]


def recorded_reward(table: Table) -> Array:
    """The best reward of episodes in which another acted: an expert, or a policy that lerobot-eval recorded without its name."""
    return np.where(acts_itself(table), np.nan, table["episode_reward"])[:, None]


def acts_itself(table: Table) -> Array:
    """(rows,) bool: the scored policy acted, and neither an expert nor another policy."""
    itself: Array = (table["executed_by"] == table["policy"]) & (table["executed_by"] != "")
    return itself


def _where(known: Array, value: Array) -> Array:
    found: Array = np.where(np.isnan(known), np.nan, value)
    return found


QUANTITIES = (
    Quantity("nll", "nats", "mean surprise of the recorded actions", taken("surprise")),
    Quantity(
        "nll_untimed",
        "nats",
        "the same, up to three steps early or late",
        taken("surprise_untimed", "surprise_untimed"),
    ),
    Quantity("entropy", "nats", "mean entropy", mean_of("entropy")),
    Quantity("excess", "nats", "surprise less entropy, 0 if calibrated", taken("excess")),
    Quantity(
        "beyond_box", "1", "share of recorded actions that the policy never takes, not in nll and excess", beyond_box
    ),
    Quantity("energy_score", "px", "mean energy score", mean_of("energy_score")),
    Quantity("mean_rank", "1", "0.5 if calibrated; below: too wide, above: too narrow", mean_of("rank")),
    *(
        Quantity(f"inside_{100 * level:.0f}", "1", f"share in the {100 * level:.0f} % regions", within(level))
        for level in LEVELS
    ),
    Quantity("calibration_error", "1", "∫|F(α) − α| dα", levels_reached, calibration_error),
    Quantity("own_rank", "1", "mean rank of the policy's own draws, 0.5 if the density is right", mean_of("own_rank")),
    Quantity("multimodal", "1", "share of the steps with two modes or more", multimodal),
    Quantity("mode_switches", "1", "share of the steps at which the main mode jumps", mean_of("mode_switch")),
    Quantity("chunk_distance", "px", "between successive plans", mean_of("chunk_distance")),
    Quantity("error", "1", "mean estimated error of the density", mean_of("error")),
    Quantity("reward", "1", "mean best reward of the episodes in which the policy acted", own_reward, by_episode=True),
    Quantity(
        "recorded_reward", "1", "the same of the episodes in which another acted", recorded_reward, by_episode=True
    ),
)
# Shares of episodes, with Wilson's interval, and whether the scored policy itself acted in these.
RATES = {
    "success": ("share of the episodes in which the policy acted", True),
    "recorded_success": ("the same of the episodes in which another acted", False),
}
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}


def summarize(table: Table, seed: int = 0) -> dict[str, Interval]:
    """Each of QUANTITIES and RATES that the table of one policy has, with its 95 % interval over episodes."""
    found = {each.name: estimate(each, table, seed) for each in QUANTITIES}
    found |= {name: success_rate(table, itself) for name, (_, itself) in RATES.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def summaries(table: Table, seed: int = 0) -> dict[str, dict[str, Interval]]:
    """The summary of each policy: together, episodes that several of them scored would count several times."""
    return {policy: summarize(part, seed) for policy, part in by_policy(table).items()}


def by_policy(table: Table) -> dict[str, Table]:
    """The rows of each policy."""
    policies = dict.fromkeys(table["policy"].tolist())
    return {policy: {name: values[table["policy"] == policy] for name, values in table.items()} for policy in policies}


def estimate(quantity: Quantity, table: Table, seed: int = 0) -> Interval | None:
    """A quantity and its interval by a bootstrap over episodes; None where no step has it.

    A step stands for the steps until the next one that was scored, so that episodes of which each fifth step was scored can be
    mixed with others.
    """
    values = quantity.values(table)
    known = np.asarray(np.isfinite(values).all(axis=1))
    weight = step_weights(table) * known
    if not known.any():
        return None
    sums = np.concatenate([np.where(known[:, None], values, 0) * weight[:, None], weight[:, None]], axis=1)
    totals = np.stack([sums[rows].sum(axis=0) for rows in episodes_of(table)])
    totals = totals[totals[:, -1] > 0]
    if quantity.by_episode:
        totals = totals / totals[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        return bootstrap(totals, lambda all_: quantity.statistic(all_[..., :-1] / all_[..., -1:]), seed)


def success_rate(table: Table, itself: bool = True) -> Interval | None:
    """The share of successes among the episodes in which the policy itself acted, or another; None where there are none."""
    of_these = np.where(acts_itself(table) == itself, table["episode_success"], np.nan)
    outcomes = [of_these[rows[0]] for rows in episodes_of(table)]
    known = [bool(each) for each in outcomes if np.isfinite(each)]
    return wilson(sum(known), len(known)) if known else None


def episodes_of(table: Table) -> list[Array]:
    """The rows of each episode, in the order of the table."""
    keys = list(zip(table["policy"], table["dataset"], table["episode"], strict=True))
    rows: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return [np.array(each) for each in rows.values()]


def step_weights(table: Table) -> Array:
    """(rows,) steps that each row stands for: the usual distance between the scored steps of its episode."""
    weight = np.ones(len(table["step"]))
    for rows in episodes_of(table):
        if len(rows) > 1:
            weight[rows] = np.median(np.diff(table["step"][rows]))
    return weight


def format_summaries(found: Mapping[str, dict[str, Interval]], table: Table) -> str:
    """The summary of each policy, under its name if there are several."""
    parts = by_policy(table)
    heads = {policy: f"{policy}\n" if len(found) > 1 else "" for policy in found}
    return "\n\n".join(heads[policy] + format_summary(each, parts[policy]) for policy, each in found.items())


def format_summary(summary: dict[str, Interval], table: Table, names: Sequence[str] = ()) -> str:
    """A line for each quantity: name, value, interval, meaning; the last line says what the intervals are."""
    episodes = len(episodes_of(table))
    about = {each.name: (each.units, each.meaning) for each in QUANTITIES}
    about |= {name: ("1", meaning) for name, (meaning, _) in RATES.items()}
    lines = [f"{len(table['step'])} steps of {episodes} episode{'s' * (episodes > 1)}"]
    for name, interval in summary.items():
        units = "" if about[name][0] == "1" else about[name][0]
        lines.append(f"  {name:18s} {f'{interval} {units}'.strip():32s} {about[name][1]}")
    some = any(each.low is not None for name, each in summary.items() if name not in RATES)
    note = "95 % intervals: bootstrap over episodes" if some else "no intervals: they need 5 episodes or more"
    return "\n".join([*lines, f"  ({note}{'; success: Wilson' if RATES.keys() & summary.keys() else ''})"])
