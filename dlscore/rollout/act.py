"""A policy acts in gym-pusht as LeRobot's own evaluation lets it act.

`lerobot-eval --seed=S --eval.n_episodes=N --eval.batch_size=N` seeds torch with S, builds the policy, whose initial weights
come from that stream too, resets N environments with the seeds S to S + N - 1, and takes all further noise from the stream.
One batch here does the same, to the last bit on one machine.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from dlscore.common.arrays import Array
from dlscore.common.progress import Report, no_report
from dlscore.episodes.episode import ENVIRONMENT, STATE, is_image, to_unit
from dlscore.episodes.replay import ReplayError, make_observation
from dlscore.policy.base import Policy
from dlscore.pusht.env import get_state, make_env
from dlscore.rollout.settings import RolloutError, RolloutSettings

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv

__all__ = ["Rollout", "check_policy", "roll_out"]

RECORDED = {STATE: (2,), ENVIRONMENT: (16,)}  # whatever the policy takes, so that others can be scored on it


@dataclass(frozen=True)
class Rollout:
    """One episode of T steps that a policy acted.

    seed: of the environment. state: (T, 5) float64 px and rad, before each action. action: (T, 2) float32 px, as executed.
    reward: (T,) float32, success: (T,) bool, after each action. chunk: (T,) which of the predicted chunks the action is
    from, and entry: (T,) which of its actions, n_obs_steps - 1 being the newest. observations: what the policy saw (T, …),
    with agent position and keypoints in any case.
    """

    seed: int
    state: Array
    action: Array
    reward: Array
    success: Array
    chunk: Array
    entry: Array
    observations: dict[str, Array]

    def __len__(self) -> int:
        return len(self.action)

    @property
    def succeeded(self) -> bool:
        """Whether the goal was reached."""
        return bool(self.success.any())


@dataclass
class _World:
    # One environment, and what has happened in it.
    seed: int
    env: PushTEnv
    seen: dict[str, Array] = field(default_factory=dict)  # now
    states: list[Array] = field(default_factory=list)
    observed: list[dict[str, Array]] = field(default_factory=list)
    actions: list[Array] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    reached: list[bool] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.reached and self.reached[-1])

    def step(self, action: Array) -> None:
        self.states.append(get_state(self.env))
        self.observed.append(self.seen)
        self.actions.append(action)
        _, reward, reached, _, _ = self.env.step(action)
        self.rewards.append(float(reward))
        self.reached.append(bool(reached))

    def finish(self, policy: Policy) -> Rollout:
        steps = np.arange(len(self.actions))
        each = policy.executed_actions
        return Rollout(
            self.seed,
            np.stack(self.states),
            np.stack(self.actions).astype(np.float32),
            np.array(self.rewards, dtype=np.float32),
            np.array(self.reached),
            (steps // each).astype(np.int32),
            (policy.current + steps % each).astype(np.int32),
            {name: np.stack([seen[name] for seen in self.observed]) for name in self.observed[0]},
        )


def check_policy(policy: Policy) -> None:
    """Raise RolloutError for a policy that gym-pusht cannot show what it takes, or that has scored on a CPU."""
    env = make_env()
    if policy.takes_task:
        raise RolloutError(f"policy {policy.name} takes a text, which gym-pusht does not have; roll out another policy")
    if sum(map(is_image, policy.inputs.values())) > 1:
        raise RolloutError(
            f"policy {policy.name} takes several cameras, and gym-pusht has one; roll out another policy"
        )
    for name, shape in policy.inputs.items():
        try:
            make_observation(env, name, shape)
        except ReplayError as error:
            raise RolloutError(
                f"policy {policy.name} takes '{name}' {shape}, which gym-pusht does not show; it shows {STATE} (2,) or (5,), "
                f"{ENVIRONMENT} (16,) and pictures (3, H, W)"
            ) from error
    if policy.device.type == "cpu" and policy.accelerated:  # by a network of other rounding
        raise RolloutError(f"policy {policy.name} has scored already; load it anew for LeRobot's own numbers")


def roll_out(
    policy: Policy, seeds: Sequence[int], settings: RolloutSettings, progress: Report = no_report
) -> list[Rollout]:
    """One batch: a rollout for each of at most `settings.environments` seeds, until success or the time limit.

    A batch of fewer seeds is filled up, as LeRobot's last one is, so that the noise of each place stays the same.
    """
    inputs = {**RECORDED, **policy.inputs}
    worlds = [_World(seed, make_env()) for seed in seeds]
    for world in worlds:
        world.env.reset(seed=world.seed)
    with torch.random.fork_rng(devices=[policy.device] if policy.device.type == "cuda" else []), torch.inference_mode():
        _start_noise(policy, seeds[0])
        policy.policy.reset()
        for step in range(settings.max_steps):
            for world in worlds:
                if not world.done:
                    world.seen = {name: make_observation(world.env, name, shape) for name, shape in inputs.items()}
            actions = _act(policy, worlds, settings.environments)
            for world, action in zip(worlds, actions, strict=False):
                if not world.done:
                    world.step(action)
            progress(step + 1, settings.max_steps)
            if all(world.done for world in worlds):
                break
    return [world.finish(policy) for world in worlds]


def _act(policy: Policy, worlds: Sequence[_World], width: int) -> Array:
    # (width, 2) float32 px. What a place without a world sees does not matter.
    filled = [worlds[min(k, len(worlds) - 1)].seen for k in range(width)]
    batch = {name: torch.from_numpy(to_unit(np.stack([seen[name] for seen in filled]))) for name in policy.inputs}
    found: Array = policy.postprocess(policy.policy.select_action(policy.preprocess(batch))).cpu().numpy()
    return found


def _start_noise(policy: Policy, seed: int) -> None:
    # The stream as it is when lerobot-eval has built the policy. Weights are drawn on the CPU, noise on the policy's device.
    torch.manual_seed(seed)
    if policy.device.type == "cpu":
        with torch.inference_mode(False), contextlib.redirect_stdout(io.StringIO()):  # some networks print their size
            type(policy.policy)(policy.config)
