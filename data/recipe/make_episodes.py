"""Make the demo's expert episodes: roll a trained policy out in gym-pusht and keep quick successes, as LeRobotDataset.

The policy must not be the bundled one (data/README.md): what is scored is then not its own behaviour.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from lerobot.datasets import LeRobotDataset

from dlscore.common import progress
from dlscore.episodes.episode import ACTION, ENVIRONMENT, STATE
from dlscore.policy.load import load_policy
from dlscore.pusht.env import get_keypoints, get_state, make_env, render_image, set_state
from dlscore.rollout.act import Rollout, roll_out
from dlscore.rollout.settings import RolloutSettings

SEEDS = range(200_000, 200_100)
LENGTHS = range(50, 161)  # steps: long enough to show the task, short enough to score in minutes
IMAGE = "observation.image"
VECTOR = {"dtype": "float32", "names": None}
FEATURES = {
    STATE: {**VECTOR, "shape": (2,)},
    ENVIRONMENT: {**VECTOR, "shape": (16,)},
    IMAGE: {"dtype": "video", "shape": (96, 96, 3), "names": ["height", "width", "channels"]},
    "full_state": {"dtype": "float64", "shape": (5,), "names": None},
    ACTION: {**VECTOR, "shape": (2,)},
    "next.reward": {**VECTOR, "shape": (1,)},
    "next.success": {"dtype": "bool", "shape": (1,), "names": None},
}


def choose(runs: list[Rollout], count: int) -> list[Rollout]:
    """The first `count` successes of a suitable length that did not begin near the goal; shortest first, for the demo."""
    good = [run for run in runs if run.succeeded and len(run) in LENGTHS and run.reward[0] < 0.3 and is_replayed(run)]
    if len(good) < count:
        raise SystemExit(
            f"only {len(good)} of {len(runs)} rollouts are fit, {count} are wanted: train the expert longer"
        )
    return sorted(good[:count], key=len)


def is_replayed(run: Rollout) -> bool:
    """Whether a start that is set gives the states of the rollout: not if the block touched the agent there, and moved."""
    env = make_env()
    set_state(env, run.state[0])
    for state, action in zip(run.state, run.action, strict=True):
        if not np.array_equal(get_state(env), state):
            return False
        env.step(action)
    return True


def add_episode(dataset: LeRobotDataset, run: Rollout) -> None:
    """Replay a rollout from its first state, to record each image, and save it."""
    env = make_env()
    set_state(env, run.state[0])
    for k, (state, action, reward) in enumerate(zip(run.state, run.action, run.reward, strict=True)):
        dataset.add_frame({
            STATE: np.float32(state[:2]),
            ENVIRONMENT: np.float32(get_keypoints(env).ravel()),
            IMAGE: render_image(env),
            "full_state": state,
            ACTION: action,
            "next.reward": np.float32([reward]),
            "next.success": np.array([k == len(run) - 1]),
            "task": "Push the T to the goal.",
        })  # fmt: skip
        env.step(action)
    dataset.save_episode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=12)
    options = parser.parse_args()

    policy = load_policy(str(options.policy))
    with progress.steps("roll out") as report:
        runs = roll_out(policy, SEEDS, RolloutSettings(SEEDS, environments=len(SEEDS)), report)
    runs = choose(runs, options.episodes)
    part = options.output.with_name(options.output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    dataset = LeRobotDataset.create(
        "dlscore/demo", fps=10, features=FEATURES, root=part, use_videos=True, video_backend="pyav"
    )
    for run in runs:
        add_episode(dataset, run)
    dataset.finalize()
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    part.rename(options.output)
    for index, run in enumerate(runs):
        print(f"episode {index}: environment seed {run.seed}, {len(run)} steps, last reward {run.reward[-1]:.3f}")


if __name__ == "__main__":
    main()
