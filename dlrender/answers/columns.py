"""The statistics of a step: each is one function and one line of COLUMNS. README.md has their formulas and sources."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrender.answers.modes import Mode
from dlrender.answers.samples import energy_score
from dlrender.answers.steps import Step
from dlscore.common.world import WORLD_SIZE

GATE = 40.0  # px by which the main mode may move from a step to the next and be the same
MODES = 3  # so many have columns
FEWER = 2  # every so manieth point is enough for the energy score
LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Column:
    """A statistic: its name, unit, meaning in a line, and value at a step (nan where there is none); kind: f8, i8 or str."""

    name: str
    units: str
    meaning: str
    value: Callable[[Step], Any]
    kind: str = "f8"


def attribute(name: str) -> Callable[[Step], str]:
    """An attribute of the file, as text."""
    return lambda step: str(step.episode.cache.attrs.get(name, ""))


def check(name: str) -> Callable[[Step], float]:
    """A check of the density."""
    return lambda step: step.check(name)


def field(name: str) -> Callable[[Step], float]:
    """A number a step that a file need not have."""

    def value(step: Step) -> float:
        values = step.episode.fields[name]
        return np.nan if values is None else float(values[step.row])

    return value


def outcome(name: str) -> Callable[[Step], float]:
    """Of the whole recorded episode, whatever part of it is scored."""

    def value(step: Step) -> float:
        found = step.episode.cache.attrs.get(name)
        return np.nan if found is None else float(found)

    return value


def action_age(step: Step) -> float:
    """Steps since the plan was made from which the action is; nan unless the scored policy acted, whose plans start elsewhere."""
    entries, attrs = step.episode.fields["executed/entry"], step.episode.cache.attrs
    if entries is None or attrs.get("executed_by") != attrs.get("policy"):
        return np.nan
    return float(entries[step.row]) - step.episode.cache.current


def drift(part: str) -> Callable[[Step], float]:
    """A part of the replay's drift."""

    def value(step: Step) -> float:
        parts = list(step.episode.cache.drift_parts)
        return float(step.episode.cache.drift[step.row, parts.index(part)]) if part in parts else np.nan

    return value


def density(step: Step) -> str:
    """Whose density it is: executed, model, or unknown."""
    return str(step.episode.cache.score_attrs(step.episode.method).get("density", "unknown"))


def surprise(step: Step) -> float:
    """−log p(a) of the recorded action."""
    return -step.log_density


def surprise_untimed(step: Step) -> float:
    """The least surprise of the recorded actions within three steps; nan where the file does not have all of these."""
    if step.episode.cache.every > 1:
        return np.nan
    return -max(step.log_density, *step.log_densities.values())


def surprise_error(step: Step) -> float:
    """The stored error of the log density, in the bin of the action's distance below the peak."""
    if step.episode.log_error is None:
        return np.nan
    ends, errors = step.episode.log_error
    below = max(float(step.points.log_density.max()) - step.log_density, 0.0)
    return float(errors[step.row, min(int(np.searchsorted(ends, below)), len(ends) - 1)])


def excess(step: Step) -> float:
    """Surprise less the entropy: 0 on average if actions are drawn from the density."""
    return surprise(step) - step.points.entropy


def gain(step: Step) -> float:
    """How much less surprising than under a uniform density over the world."""
    return math.log(WORLD_SIZE**2) - surprise(step)


def rank_low(step: Step) -> float:
    """The mass of the actions that are denser than the recorded one."""
    return step.tie[0]


def rank_high(step: Step) -> float:
    """The same with the recorded action's own share."""
    return step.tie[1]


def rank(step: Step) -> float:
    """Between the two at random: as the file has it, else by the run's seed, the episode and the step."""
    if step.episode.recorded is not None:
        return float(step.episode.recorded["rank"][step.row])
    low, high = step.tie
    return low + (high - low) * float(step.rng(1).random())


def effective_area(step: Step) -> float:
    """exp(entropy)."""
    return math.exp(step.points.entropy)


def area(level: float) -> Callable[[Step], float]:
    """Area of the highest-density region of a level."""
    return lambda step: float(step.points.areas((level,))[0])


def energy(step: Step) -> float:
    """The energy score of the recorded action."""
    weight = step.points.weight[::FEWER]
    return energy_score(step.points.point[::FEWER], weight / weight.sum(), step.episode.actions[step.row])


def mode_count(step: Step) -> float:
    """How many modes there are."""
    return np.nan if step.modes is None else float(len(step.modes))


def mode(number: int, of: Callable[[Mode], float]) -> Callable[[Step], float]:
    """A property of the mode with the `number`th largest mass."""

    def value(step: Step) -> float:
        return np.nan if step.modes is None or len(step.modes) <= number else of(step.modes[number])

    return value


def mode_switch(step: Step) -> float:
    """1 where the main mode is farther than GATE from that of the step before, else 0; nan where that was not scored."""
    if step.before is None or step.lag > 1 or not step.modes or not step.before.modes:
        return np.nan
    new, old = step.modes[0], step.before.modes[0]
    return float(math.hypot(new.x - old.x, new.y - old.y) > GATE)


def own_rank(step: Step) -> float:
    """Mean rank of the policy's own draws."""
    return float(step.episode.own_rank[step.row])


def prediction_distance(step: Step) -> float:
    """From the predicted to the recorded action."""
    return math.dist(step.episode.cache.predicted_action[step.row], step.episode.actions[step.row])


COLUMNS = (
    Column("policy", "", "the policy", attribute("policy"), "str"),
    Column("dataset", "", "the data set", attribute("dataset"), "str"),
    Column("executed_by", "", "the policy that acted; empty if an expert did", attribute("executed_by"), "str"),
    Column("method", "", "the scores", lambda step: step.episode.method, "str"),
    Column("density", "", "whose density it is", density, "str"),
    Column("seed", "", "seed of the run that scored", lambda step: step.episode.cache.seed, "i8"),
    Column("episode", "", "index of the episode", lambda step: step.episode.cache.episode, "i8"),
    Column("step", "", "index of the step in the episode", lambda step: step.number, "i8"),
    Column("time", "s", "since the start", lambda step: float(step.episode.cache.time[step.row])),
    Column("x", "px", "recorded action", lambda step: float(step.episode.actions[step.row, 0])),
    Column("y", "px", "recorded action", lambda step: float(step.episode.actions[step.row, 1])),
    Column("reward", "1", "of the environment", field("reward")),
    Column("success", "1", "1 where the task is done", field("success")),
    Column("action_age", "1", "steps since the plan was made", action_age),
    Column("episode_success", "1", "1 if the whole episode succeeds", outcome("episode_success")),
    Column("episode_reward", "1", "the best of the whole episode", outcome("episode_best_reward")),
    Column("surprise", "nats", "−log p of the recorded action", surprise),
    Column("surprise_error", "nats", "estimated error of the surprise", surprise_error),
    Column("surprise_untimed", "nats", "least surprise within three steps", surprise_untimed),
    Column("entropy", "nats", "expected surprise", lambda step: step.points.entropy),
    Column("excess", "nats", "surprise less entropy", excess),
    Column("gain", "nats", "over a uniform density", gain),
    Column("rank", "1", "of the recorded action among highest-density regions", rank),
    Column("rank_low", "1", "lower bound of the rank", rank_low),
    Column("rank_high", "1", "upper bound of the rank", rank_high),
    Column("effective_area", "px²", "exp(entropy)", effective_area),
    *(Column(f"area_{100 * level:.0f}", "px²", f"of the {100 * level:.0f} % region", area(level)) for level in LEVELS),
    Column("energy_score", "px", "of the recorded action", energy),
    Column("modes", "1", "number of modes; blank where it cannot be told", mode_count),
    *(
        Column(f"mode_{k + 1}_{name}", units, f"of the mode with the mass number {k + 1}", mode(k, of))
        for k in range(MODES)
        for name, units, of in (
            ("x", "px", lambda each: each.x),
            ("y", "px", lambda each: each.y),
            ("mass", "1", lambda each: each.mass),
            ("prominence", "nats", lambda each: each.prominence),
        )
    ),
    Column("mode_switch", "1", "1 where the main mode jumps", mode_switch),
    Column("chunk_distance", "px", "between plans of successive steps", Step.chunk_distance),
    Column("prediction_distance", "px", "from the predicted to the recorded action", prediction_distance),
    Column("error", "1", "estimated total variation of the density from the truth", check("error")),
    Column("inside", "1", "probability inside the grid", check("inside")),
    Column("own_rank", "1", "mean rank of the policy's own draws", own_rank),
    Column("drift_agent", "px", "of the replay", drift("agent_px")),
    Column("drift_block", "px", "of the replay", drift("block_px")),
    Column("drift_angle", "rad", "of the replay", drift("block_rad")),
)
BY_NAME = {column.name: column for column in COLUMNS}
