"""Make the demo's expert episodes: roll a trained policy out in gym-pusht and keep quick successes, as LeRobotDataset.

The policy must not be the bundled one (data/README.md): what is scored is then not its own behaviour.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import torch
from lerobot.datasets import LeRobotDataset
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors
from rollout import Rollout, rollout

from dlscore.episodes.episode import ACTION, ENVIRONMENT, STATE
from dlscore.pusht.env import get_keypoints, get_state, make_env, render_image, set_state

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
    good = [run for run in runs if run.success and len(run.rewards) in LENGTHS and run.rewards[0] < 0.3]
    if len(good) < count:
        raise SystemExit(
            f"only {len(good)} of {len(runs)} rollouts are fit, {count} are wanted: train the expert longer"
        )
    return sorted(good[:count], key=lambda run: len(run.rewards))


def add_episode(dataset: LeRobotDataset, run: Rollout) -> None:
    """Replay a rollout from its first state, to record each image, and save it."""
    env = make_env()
    set_state(env, run.states[0])
    for k, (state, action, reward) in enumerate(zip(run.states, run.actions, run.rewards, strict=True)):
        assert np.array_equal(get_state(env), state), "the replay of a rollout is not the rollout"
        dataset.add_frame({
            STATE: np.float32(state[:2]),
            ENVIRONMENT: np.float32(get_keypoints(env).ravel()),
            IMAGE: render_image(env),
            "full_state": state,
            ACTION: action,
            "next.reward": np.float32([reward]),
            "next.success": np.array([k == len(run.rewards) - 1]),
            "task": "Push the T to the goal.",
        })  # fmt: skip
        env.step(action.astype(np.float64))
    dataset.save_episode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=12)
    options = parser.parse_args()

    policy = DiffusionPolicy.from_pretrained(options.policy, strict=True)
    policy.to("cuda" if torch.cuda.is_available() else "cpu")
    preprocess, postprocess = make_pre_post_processors(
        policy.config,
        str(options.policy),
        preprocessor_overrides={"device_processor": {"device": str(next(policy.parameters()).device)}},
    )
    runs = choose(rollout(policy, preprocess, postprocess, SEEDS, "roll out"), options.episodes)
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
        print(
            f"episode {index}: environment seed {run.seed}, {len(run.rewards)} steps, last reward {run.rewards[-1]:.3f}"
        )


if __name__ == "__main__":
    main()
