"""Changing checkpoints, and what it means that two policies are the same."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from dlscore.policy.base import Policy
from dlscore.policy.load import load_policy


def load(folder: Path) -> Policy:
    """The policy in a folder, on the CPU."""
    return load_policy(str(folder), device="cpu")


def edit_config(folder: Path, **changes: object) -> None:
    """Change entries of config.json; "<gone>" removes one."""
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value != "<gone>"}))


def edit_weights(folder: Path, change: Callable[[dict], dict]) -> None:
    """Change the weights, which are tensors by name."""
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors")


def assert_same_policy(one: Policy, two: Policy) -> None:
    """Two policies encode, sample and scale to the last bit alike."""
    windows = {
        name: np.random.default_rng(0).random((2, 2, *shape), dtype=np.float32) for name, shape in one.inputs.items()
    }
    given = one.encode(windows)
    torch.testing.assert_close(given, two.encode(windows), atol=0, rtol=0)
    torch.testing.assert_close(one.sample(given, [[1], [2]]), two.sample(given, [[1], [2]]), atol=0, rtol=0)
    assert (one.to_px(np.eye(2)) == two.to_px(np.eye(2))).all()
