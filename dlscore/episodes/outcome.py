"""What an episode came to: reward and success after each action, and for a policy's own episodes which action it executed.

The names are LeRobot's where it has some (`next.reward`, `next.success`). What `dlscore rollout` saves has more: the seed of
the environment, and for each step which chunk the action is from and which of its entries it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlscore.common.arrays import Array
from dlscore.episodes.episode import DatasetError
from dlscore.pusht.env import get_state, make_env

__all__ = ["CHUNK", "ENTRY", "OUTCOMES", "REWARD", "ROLLOUT_NOTE", "SEED", "SUCCESS", "Outcome", "outcome_features",
           "read_actor", "read_outcome"]  # fmt: skip

REWARD, SUCCESS, SEED = "next.reward", "next.success", "seed"
CHUNK, ENTRY = "executed.chunk", "executed.entry"
OUTCOMES = {
    "reward": REWARD,
    "success": SUCCESS,
    "executed/chunk": CHUNK,
    "executed/entry": ENTRY,
}  # by the cache's names
ROLLOUT_NOTE = "meta/rollout.json"  # in the data set: who acted, and how
SAME_START = 1e-6  # px and rad


@dataclass(frozen=True)
class Outcome:
    """values: (T,) by the cache's names. seed: from which a replay starts, or None; note: why the recorded one is not used."""

    values: dict[str, Array]
    seed: int | None
    note: str


def outcome_features(features: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The features of a data set that say what its episodes came to, and the seed of a rollout."""
    there = [name for name in OUTCOMES.values() if _is_number(features, name)]
    return [*there, SEED] if CHUNK in there and _is_number(features, SEED) else there


def read_outcome(
    features: Mapping[str, tuple[int, ...]], arrays: Mapping[str, Array], start: Array, where: str
) -> Outcome:
    """The outcome in the arrays of an episode that starts with the state `start` (5,).

    DatasetError for values that are not finite, and for a success that is neither 0 nor 1; `where` names the episode.
    """
    there = outcome_features(features)
    values = {name: _check(name, arrays[theirs], where) for name, theirs in OUTCOMES.items() if theirs in there}
    if SEED not in there:
        return Outcome(values, None, "")
    seed = find_seed(arrays[SEED], start)
    return Outcome(values, seed, "the installed gym-pusht starts its seed elsewhere" if seed is None else "")


def find_seed(seeds: Array, start: Array) -> int | None:
    """The seed from which gym-pusht starts as the record does, or None if the installed one starts otherwise.

    A start that is set has no velocity, and a block that touches the agent at the start has one: so a rollout is replayed
    exactly from its seed only.
    """
    seed = int(seeds.flat[0])
    env = make_env()
    env.reset(seed=seed)
    return seed if np.allclose(get_state(env), start, rtol=0, atol=SAME_START) else None


def _is_number(features: Mapping[str, tuple[int, ...]], name: str) -> bool:
    return tuple(features.get(name, (0,))) in ((), (1,))


def _check(name: str, values: Array, where: str) -> Array:
    values = values.reshape(len(values))
    if not np.isfinite(values).all() or (name == "success" and not np.isin(values, (0, 1)).all()):
        raise DatasetError(
            f"'{OUTCOMES[name]}' of {where} holds values that are no {name.replace('/', ' ')}; it is damaged: fetch it again"
        )
    return values


def read_actor(root: Path, names: Iterable[str], recorded: Iterable[str]) -> str:
    """The policy that acted a data set at `root`, with features of these `names`; "" for demonstrations.

    recorded: the names that lerobot-eval gives to what it records.
    """
    note = root / ROLLOUT_NOTE
    if note.is_file():
        try:
            return str(json.loads(note.read_text())["policy"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{note} cannot be read ({type(error).__name__}: {error}); fetch the data set again"
            ) from error
    return "a policy recorded by lerobot-eval" if set(recorded) & set(names) else ""
