"""A recorded episode replayed exactly in gym-pusht, step by step, with its drift from the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.common.errors import UserError
from dlscore.episodes.episode import ENVIRONMENT, STATE, Episode, is_image
from dlscore.pusht.env import (
    get_keypoints,
    get_state,
    make_env,
    picture_difference,
    render_canvas,
    render_image,
    set_state,
)
from dlscore.pusht.geometry import angle_difference

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv


MODES = ("actions", "states")


class ReplayError(UserError):
    """A replay that cannot be done as requested."""


@dataclass(frozen=True)
class ReplayStep:
    """The world at the moment when the expert chooses action `index`.

    state: (5,) as replayed. frame: (512, 512, 3) uint8, without overlays. drift: the absolute difference between replay
    and record, by part (`measured_parts`).
    """

    index: int
    state: Array
    frame: Array
    drift: dict[str, float]


def measured_parts(episode: Episode) -> tuple[str, ...]:
    """The parts of the drift that the record allows: agent [px] always; block [px], [rad] and picture [1/255] if known."""
    block = ("block_px", "block_rad") if len(episode.block) == len(episode) else ()
    return ("agent_px", *block, *(("picture",) if episode.pictures is not None else ()))


def replay(
    episode: Episode, mode: str = "actions", start: int = 0, stop: int | None = None, every: int = 1
) -> Iterator[ReplayStep]:
    """Steps `start` to `stop` of the episode, or every `every`th of them; the others are run, not drawn.

    mode "actions": the recorded start state, then the recorded actions (earlier ones are run, not drawn). mode
    "states": the recorded state of every step, so that nothing can drift.
    """
    for k, env in worlds(episode, mode, stop):
        if k >= start and (k - start) % every == 0:
            state = get_state(env)
            yield ReplayStep(k, state, render_canvas(env), _measure_drift(env, state, episode, k))


def worlds(episode: Episode, mode: str = "actions", stop: int | None = None) -> Iterator[tuple[int, PushTEnv]]:
    """(step, the environment at that step) from the start to `stop`; see `replay` for `mode`."""
    check_choice("--replay", mode, MODES, ReplayError)
    if mode == "states" and len(episode.block) < len(episode):
        raise ReplayError("--replay states needs the block's pose at every step; open the data set with every_step")
    env, states = make_env(), episode.state
    if episode.seed is None:
        set_state(env, states[0])
    else:  # with the velocity that a block has which the agent touches
        env.reset(seed=episode.seed)
    for k in range(len(episode) if stop is None else stop):
        if mode == "states":
            set_state(env, states[k])
        yield k, env
        if mode == "actions":
            env.step(episode.action[k])


def replayed_observations(episode: Episode, inputs: Mapping[str, tuple[int, ...]], mode: str, steps: int) -> Episode:
    """The episode with observations (steps, …) rendered from the replay instead of the recorded ones."""
    found: dict[str, list[Array]] = {name: [] for name in inputs}
    for _, env in worlds(episode, mode, steps):
        for name, shape in inputs.items():
            found[name].append(make_observation(env, name, shape))
    return replace(episode, observations={name: np.stack(values) for name, values in found.items()})


def make_observation(env: PushTEnv, name: str, shape: tuple[int, ...]) -> Array:
    """gym-pusht's observation under LeRobot's name: float32, pictures uint8 CHW. ReplayError if it has none of that name."""
    if name == STATE and shape in ((2,), (5,)):
        return get_state(env)[: shape[0]].astype(np.float32)
    if name == ENVIRONMENT and shape == (16,):
        return get_keypoints(env).reshape(16).astype(np.float32)
    if is_image(shape):
        picture = render_image(env, shape[1], shape[2])
        return picture.transpose(2, 0, 1)
    raise ReplayError(
        f"--observations replayed cannot make '{name}' {shape}; gym-pusht shows {STATE} (2,) or (5,), {ENVIRONMENT} (16,) "
        "and pictures (3, H, W)"
    )


def _measure_drift(env: PushTEnv, state: Array, episode: Episode, k: int) -> dict[str, float]:
    drift = {"agent_px": float(np.hypot(*(state[:2] - episode.agent[k])))}
    if len(episode.block) == len(episode):
        pose = episode.block[k]
        drift["block_px"] = float(np.hypot(*(state[2:4] - pose[:2])))
        drift["block_rad"] = abs(float(angle_difference(state[4], pose[2])))
    if episode.pictures is not None:
        drift["picture"] = picture_difference(env, episode.pictures[k])
    return drift
