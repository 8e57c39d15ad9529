"""Run a LeRobot policy closed loop in many PushT environments at once, so that the network sees full batches."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from rich.progress import track

from dlscore.episodes.episode import ENVIRONMENT, STATE
from dlscore.pusht.env import get_state, make_env, set_state
from dlscore.pusht.geometry import keypoints_of_pose

MAX_STEPS = 300  # gym-pusht's own time limit


@dataclass
class Rollout:
    """What one environment saw: states (T, 5) before each action (T, 2), and the reward (T,) after it."""

    seed: int
    states: list[np.ndarray] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    success: bool = False


def rollout(policy: DiffusionPolicy, preprocess: Any, postprocess: Any, seeds: range, label: str) -> list[Rollout]:
    """One rollout for each environment seed, until success or `MAX_STEPS`.

    The start is the state of `reset(seed)` set exactly, at rest, so that a replay from the record begins where this did.
    """
    runs, environments = [Rollout(seed) for seed in seeds], []
    for seed in seeds:
        env = make_env()
        env.reset(seed=seed)
        set_state(env, get_state(env))
        environments.append(env)
    torch.manual_seed(seeds.start)
    policy.eval()
    policy.reset()
    for _ in track(range(MAX_STEPS), label):
        states = [get_state(env) for env in environments]
        poses = np.stack([state[2:] for state in states])
        observation = {
            STATE: torch.tensor(np.stack([state[:2] for state in states]), dtype=torch.float32),
            ENVIRONMENT: torch.tensor(keypoints_of_pose(poses).reshape(len(runs), 16), dtype=torch.float32),
        }
        with torch.inference_mode():
            actions = postprocess(policy.select_action(preprocess(observation))).numpy()
        # The recorded action is the float32 one that a data set keeps: what is replayed is what was done.
        for run, env, state, action in zip(runs, environments, states, actions, strict=True):
            if not run.success:
                _, reward, run.success, _, _ = env.step(action.astype(np.float64))
                run.states.append(state)
                run.actions.append(action)
                run.rewards.append(float(reward))
        if all(run.success for run in runs):
            break
    return runs
