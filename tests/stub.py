"""A tiny LeRobot policy (random weights) and tiny data sets, saved in LeRobot's own formats; no hub, no training."""

from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors

from dlscore import pusht
from dlscore.episodes import ACTION, ENVIRONMENT, STATE


def make_config(**changes) -> DiffusionConfig:
    options = {
        "n_obs_steps": 2,
        "horizon": 16,
        "n_action_steps": 8,
        "input_features": {
            STATE: PolicyFeature(type=FeatureType.STATE, shape=(2,)),
            ENVIRONMENT: PolicyFeature(type=FeatureType.ENV, shape=(16,)),
        },
        "output_features": {ACTION: PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
        "normalization_mapping": dict.fromkeys(("STATE", "ENV", "ACTION"), "MIN_MAX"),
        "pretrained_backbone_weights": None,
        "down_dims": (16, 32),
        "diffusion_step_embed_dim": 16,
        "n_groups": 4,
        "num_train_timesteps": 100,
        "device": "cpu",
        "push_to_hub": False,
    }
    return DiffusionConfig(**(options | changes))


def stats() -> dict[str, dict[str, torch.Tensor]]:
    def span(size: int, low: float, high: float) -> dict[str, torch.Tensor]:
        return {"min": torch.full((size,), low), "max": torch.full((size,), high)}

    image = {"mean": torch.full((3, 1, 1), 0.5), "std": torch.full((3, 1, 1), 0.25)}
    return {
        "observation.image": image,
        STATE: span(2, 0.0, 512.0),
        ENVIRONMENT: span(16, 0.0, 512.0),
        ACTION: span(2, 12.0, 511.0),
    }


def save_policy(folder: Path, **changes) -> Path:
    torch.manual_seed(0)
    config = make_config(**changes)
    DiffusionPolicy(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=stats()):
        processor.save_pretrained(folder)
    return folder


def roll(steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(states (T, 5), actions (T, 2)) of an agent that circles the block, pushing it about."""
    rng = np.random.default_rng(seed)
    env = pusht.make_env()
    pusht.set_state(env, np.array([150.0, 200.0, 256.0, 300.0, 0.7]) + rng.uniform(-20, 20, 5) * [1, 1, 1, 1, 0.01])
    states, actions = [], []
    for k in range(steps):
        states.append(pusht.get_state(env))
        turn = 2 * np.pi * k / 25
        actions.append(np.float32(np.clip(env.block.position + 110 * np.array([np.cos(turn), np.sin(turn)]), 20, 490)))
        env.step(actions[-1].astype(np.float64))
    return np.array(states), np.array(actions)


def save_dataset(folder: Path, *, episodes: int = 2, steps: int = 24, without: tuple[str, ...] = ()) -> Path:
    """A LeRobotDataset v3.0 with agent position, keypoints, action and full state, less the features in `without`."""
    from lerobot.datasets import LeRobotDataset

    features = {
        STATE: {"dtype": "float32", "shape": (2,), "names": None},
        ENVIRONMENT: {"dtype": "float32", "shape": (16,), "names": None},
        ACTION: {"dtype": "float32", "shape": (2,), "names": None},
        "full_state": {"dtype": "float64", "shape": (5,), "names": None},
    }
    features = {name: feature for name, feature in features.items() if name not in without}
    dataset = LeRobotDataset.create(
        "local/tiny", fps=10, features=features, root=folder, use_videos=False, video_backend="pyav"
    )
    for index in range(episodes):
        states, actions = roll(steps, index)
        points = pusht.pose_keypoints(states[:, 2:]).reshape(steps, 16)
        for k in range(steps):
            values = {
                STATE: np.float32(states[k, :2]),
                ENVIRONMENT: np.float32(points[k]),
                ACTION: actions[k],
                "full_state": states[k],
            }
            dataset.add_frame({**{name: values[name] for name in features}, "task": "Push the T to the goal."})
        dataset.save_episode()
    dataset.finalize()
    return folder


def save_zarr(folder: Path, *, episodes: int = 2, steps: int = 24) -> Path:
    """A Diffusion Policy zarr of the same episodes."""
    import zarr

    group = zarr.open_group(str(folder), mode="w")
    rolls = [roll(steps, index) for index in range(episodes)]
    group["data/state"] = np.concatenate([states for states, _ in rolls])
    group["data/action"] = np.concatenate([actions for _, actions in rolls])
    group["meta/episode_ends"] = np.arange(1, episodes + 1) * steps
    return folder
