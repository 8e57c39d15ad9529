"""A tiny LeRobot policy (random weights) and tiny data sets, saved in LeRobot's own formats; no hub, no training."""

import json
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors
from safetensors.torch import save_file

from dlscore.episodes.episode import ACTION, ENVIRONMENT, IMAGE, STATE
from dlscore.pusht.env import get_state, make_env, render_image, set_state
from dlscore.pusht.geometry import keypoints_of_pose


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


def image_config(*cameras: str, **changes) -> dict:
    """Changes of `make_config` for a small policy that looks at 96 × 96 pictures."""
    features = {STATE: PolicyFeature(type=FeatureType.STATE, shape=(2,))}
    features |= {name: PolicyFeature(type=FeatureType.VISUAL, shape=(3, 96, 96)) for name in cameras or (IMAGE,)}
    return {
        "input_features": features,
        "normalization_mapping": {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ENV": "MIN_MAX", "ACTION": "MIN_MAX"},
        "crop_shape": (84, 84),
        "use_group_norm": True,
        "spatial_softmax_num_keypoints": 4,
        "use_separate_rgb_encoder_per_camera": False,
        **changes,
    }


def stats_of(config: DiffusionConfig) -> dict[str, dict[str, torch.Tensor]]:
    known, image = stats(), stats()[IMAGE]
    names = [*config.input_features, *config.output_features]
    return {name: image if name in config.image_features else known[name] for name in names}


def save_policy(folder: Path, **changes) -> Path:
    torch.manual_seed(0)
    config = make_config(**changes)
    DiffusionPolicy(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=stats_of(config)):
        processor.save_pretrained(folder)
    return folder


def save_legacy_policy(folder: Path, **changes) -> Path:
    """The same policy as LeRobot 0.3 kept it: statistics inside the weights, no processor files."""
    torch.manual_seed(0)
    config = make_config(**changes)
    policy = DiffusionPolicy(config)
    policy.save_pretrained(folder)
    weights = dict(policy.state_dict())
    for name, values in stats_of(config).items():
        modules = ("normalize_targets", "unnormalize_outputs") if name == ACTION else ("normalize_inputs",)
        for module in modules:
            for statistic, tensor in values.items():
                weights[f"{module}.buffer_{name.replace('.', '_')}.{statistic}"] = tensor.clone()
    save_file(weights, folder / "model.safetensors")
    return folder


def as_of_2024(folder: Path) -> Path:
    """Rewrite a legacy checkpoint's config.json in the schema of 2024."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    modes = {kind: mode.lower() for kind, mode in config.pop("normalization_mapping").items()}
    for old, new in (("input_features", "input"), ("output_features", "output")):
        features = config.pop(old)
        config[f"{new}_shapes"] = {name: feature["shape"] for name, feature in features.items()}
        config[f"{new}_normalization_modes"] = {name: modes[feature["type"]] for name, feature in features.items()}
    for name in ("type", "use_separate_rgb_encoder_per_camera", "device", "use_amp", "push_to_hub", "repo_id", "private",
                 "tags", "license"):  # fmt: skip
        config.pop(name, None)
    file.write_text(json.dumps(config))
    return folder


def roll(steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(states (T, 5), actions (T, 2)) of an agent that circles the block, pushing it about."""
    rng = np.random.default_rng(seed)
    env = make_env()
    set_state(env, np.array([150.0, 200.0, 256.0, 300.0, 0.7]) + rng.uniform(-20, 20, 5) * [1, 1, 1, 1, 0.01])
    states, actions = [], []
    for k in range(steps):
        states.append(get_state(env))
        turn = 2 * np.pi * k / 25
        actions.append(np.float32(np.clip(env.block.position + 110 * np.array([np.cos(turn), np.sin(turn)]), 20, 490)))
        env.step(actions[-1].astype(np.float64))
    return np.array(states), np.array(actions)


def save_dataset(
    folder: Path,
    *,
    episodes: int = 2,
    steps: int = 24,
    without: tuple[str, ...] = (),
    cameras: tuple[str, ...] = (),
    video: bool = True,
    names: dict[str, str] | None = None,
) -> Path:
    """A LeRobotDataset v3.0 with agent position, keypoints, action and full state, less the features in `without`.

    `cameras` are features that show the world at 96 × 96, as AV1 video or as lossless images; `names` renames features.
    """
    from lerobot.datasets import LeRobotDataset

    features = {
        STATE: {"dtype": "float32", "shape": (2,), "names": None},
        ENVIRONMENT: {"dtype": "float32", "shape": (16,), "names": None},
        ACTION: {"dtype": "float32", "shape": (2,), "names": None},
        "full_state": {"dtype": "float64", "shape": (5,), "names": None},
    }
    picture = {"dtype": "video" if video else "image", "shape": (96, 96, 3), "names": ["height", "width", "channels"]}
    features |= dict.fromkeys(cameras, picture)
    features = {name: feature for name, feature in features.items() if name not in without}
    called = {name: (names or {}).get(name, name) for name in features}
    dataset = LeRobotDataset.create(
        "local/tiny",
        fps=10,
        features={called[name]: feature for name, feature in features.items()},
        root=folder,
        use_videos=bool(cameras) and video,
        video_backend="pyav",
    )
    env = make_env()
    for index in range(episodes):
        states, actions = roll(steps, index)
        points = keypoints_of_pose(states[:, 2:]).reshape(steps, 16)
        for k in range(steps):
            values = {
                STATE: np.float32(states[k, :2]),
                ENVIRONMENT: np.float32(points[k]),
                ACTION: actions[k],
                "full_state": states[k],
            }
            if cameras:
                set_state(env, states[k])
                values |= dict.fromkeys(cameras, render_image(env))
            dataset.add_frame({**{called[name]: values[name] for name in features}, "task": "Push the T to the goal."})
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
