"""Rollouts as a LeRobotDataset v3.0, with all that an exact replay needs, and a note on who acted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.episodes.episode import ACTION, FULL_STATE, is_image
from dlscore.episodes.outcome import CHUNK, ENTRY, REWARD, ROLLOUT_NOTE, SEED, SUCCESS
from dlscore.rollout.act import Rollout

__all__ = ["save_dataset"]

FPS = 10  # of PushT
TASK = "Push the T-shaped block onto the T-shaped goal."
DONE = "next.done"


def save_dataset(folder: Path, runs: Iterable[Rollout], note: Mapping[str, Any]) -> None:
    """Write the rollouts to `folder`, which must not exist, one episode each, and `note` into it as JSON.

    Pictures are lossless (PNG inside the tables), so that a policy is scored on what it saw.
    """
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar
    from lerobot.datasets import LeRobotDataset

    disable_progress_bar()  # one for each episode
    dataset: Any = None
    for run in runs:
        if dataset is None:
            dataset = LeRobotDataset.create(
                "local/rollouts", fps=FPS, features=_features(run), root=folder, use_videos=False, video_backend="pyav"
            )
        for k in range(len(run)):
            dataset.add_frame(_frame(run, k))
        dataset.save_episode()
    dataset.finalize()
    enable_progress_bar()
    stats = folder / "meta" / "stats.json"  # LeRobot writes it in an order that changes from process to process
    _write_json(stats, json.loads(stats.read_text()))
    _write_json(folder / ROLLOUT_NOTE, dict(note))


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def _features(run: Rollout) -> dict[str, dict[str, Any]]:
    def numbers(dtype: str, *shape: int) -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "names": None}

    features = {}
    for name, values in run.observations.items():
        shape = values.shape[1:]
        picture = {"dtype": "image", "shape": (*shape[1:], 3), "names": ["height", "width", "channels"]}
        features[name] = picture if is_image(shape) else numbers("float32", *shape)
    return features | {
        FULL_STATE[0]: numbers("float64", 5),
        ACTION: numbers("float32", 2),
        REWARD: numbers("float32", 1),
        SUCCESS: numbers("bool", 1),
        DONE: numbers("bool", 1),
        SEED: numbers("int64", 1),
        CHUNK: numbers("int64", 1),
        ENTRY: numbers("int64", 1),
    }


def _frame(run: Rollout, k: int) -> dict[str, Any]:
    seen = {name: values[k].transpose(1, 2, 0) if is_image(values.shape[1:]) else values[k]
            for name, values in run.observations.items()}  # fmt: skip
    return seen | {
        FULL_STATE[0]: run.state[k],
        ACTION: run.action[k],
        REWARD: run.reward[k : k + 1],
        SUCCESS: run.success[k : k + 1],
        DONE: np.array([k == len(run) - 1]),
        SEED: np.array([run.seed]),
        CHUNK: run.chunk[k : k + 1].astype(np.int64),
        ENTRY: run.entry[k : k + 1].astype(np.int64),
        "task": TASK,
    }
