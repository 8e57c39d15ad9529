"""An expert episode replayed exactly in gym-pusht, step by step, with its drift from the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlscore import pusht
from dlscore.episodes import Episode
from dlscore.errors import UserError

Array = NDArray[Any]

DRIFT_LIMIT = 5.0  # px; beyond it the picture is no longer the recorded episode, and the run says so
MODES = ("actions", "states")


class ReplayError(UserError):
    """A replay that was asked for wrongly."""


@dataclass(frozen=True)
class Step:
    """What the world is at the moment when the expert chooses action `index`.

    state: (5,) as replayed. frame: (512, 512, 3) uint8, clean. drift: (3,) agent px, block px, block angle rad, the
    absolute difference between replay and record.
    """

    index: int
    state: Array
    frame: Array
    drift: Array


def replay(episode: Episode, mode: str = "actions", start: int = 0, stop: int | None = None) -> Iterator[Step]:
    """Steps `start` to `stop` of the episode.

    mode "actions": the recorded start state, then the recorded actions (earlier ones are run, not drawn). mode
    "states": the recorded state of every step, so that nothing can drift.
    """
    if mode not in MODES:
        raise ReplayError(f"--replay {mode} does not exist; choose from {', '.join(MODES)}")
    env = pusht.make_env()
    pusht.set_state(env, episode.state[0])
    for k in range(len(episode) if stop is None else stop):
        if mode == "states":
            pusht.set_state(env, episode.state[k])
        if k >= start:
            state, record = pusht.get_state(env), episode.state[k]
            drift = np.array([
                np.hypot(*(state[:2] - record[:2])),
                np.hypot(*(state[2:4] - record[2:4])),
                abs(pusht.angle_difference(state[4], record[4])),
            ])  # fmt: skip
            yield Step(k, state, pusht.draw(env), drift)
        if mode == "actions":
            env.step(episode.action[k])
