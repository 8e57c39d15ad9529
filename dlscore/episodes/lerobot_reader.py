"""A LeRobotDataset v3.0: a folder, or a hub id that is cached or can be fetched."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.files import check_writable
from dlscore.common.hub import HubError, Repository, find_snapshot, is_hub_id
from dlscore.episodes.episode import DatasetError

DATASET_TAG = "v3.0"  # LeRobot fetches the revision with this tag


def resolve_dataset(repo_id: str, revision: str | None = None, *, ask: bool = True) -> tuple[Path, str]:
    """(folder, resolved revision) of a data set: its copy under HF_LEROBOT_HOME, a cached snapshot, or the hub's."""
    from lerobot.utils.constants import HF_LEROBOT_HOME, HF_LEROBOT_HUB_CACHE

    local = Path(HF_LEROBOT_HOME) / repo_id
    if revision is None and (local / "meta" / "info.json").is_file():
        return local, "local"
    if not is_hub_id(repo_id):
        raise HubError(f"data set {repo_id} is not a hub id such as lerobot/pusht; for a folder use --dataset-root")
    revisions: list[str | None] = [revision] if revision else [DATASET_TAG, None]
    needed = ["meta/info.json", "data"]
    found = find_snapshot(Repository(repo_id, "dataset", revisions, None, needed, Path(HF_LEROBOT_HUB_CACHE)), ask=ask)
    return found, found.name


CONVERTERS = {
    "v2.1": "convert it with python -m lerobot.scripts.convert_dataset_v21_to_v30",
    "older": "save it again with LeRobot 0.6; its converter from v2.1 is python -m lerobot.scripts.convert_dataset_v21_to_v30",
    "v2.0": "convert it first to v2.1 with LeRobot 0.3 (lerobot/datasets/v21/convert_dataset_v20_to_v21.py), then with "
    "python -m lerobot.scripts.convert_dataset_v21_to_v30",
}


class LeRobotReader:
    """Numbers as they are stored (float64), images and videos as LeRobot decodes them (float32 CHW in [0, 1])."""

    def __init__(self, repo_id: str, root: Path | None, revision: str | None, *, ask: bool = True) -> None:
        folder, self.revision = (root, "local") if root is not None else resolve_dataset(repo_id, revision, ask=ask)
        self.name, self._root = repo_id, folder
        try:
            info = json.loads((folder / "meta" / "info.json").read_text())
            version = str(info["codebase_version"])
            self.fps, self._episodes = float(info["fps"]), int(info["total_episodes"])
            self._kinds = {name: str(feature["dtype"]) for name, feature in info["features"].items()}
            self.features = {name: _shape(feature) for name, feature in info["features"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{folder}/meta/info.json cannot be read ({type(error).__name__}: {error})") from error
        if not 0 < self.fps < float("inf") or self._episodes < 1:
            raise DatasetError(
                f"data set {repo_id} has {self._episodes} episodes at {self.fps:g} fps; it is damaged or empty"
            )
        if not version.startswith("v3."):
            number = re.match(r"v?(\d+)", version)
            newer = number is not None and int(number[1]) > 3
            remedy = CONVERTERS.get(version, "update dlscore" if newer else CONVERTERS["older"])
            raise DatasetError(f"data set {repo_id} is of LeRobot's format {version}; v3.0 is read here: {remedy}")
        for needed in ("meta/tasks.parquet", "meta/episodes", "data"):  # otherwise LeRobot asks the hub for them
            if not (folder / needed).exists() or (
                (folder / needed).is_dir() and not any((folder / needed).rglob("*.parquet"))
            ):
                raise DatasetError(f"data set {repo_id} at {folder} is incomplete: it has no {needed}; fetch it again")
        self.compressed = tuple(name for name, kind in self._kinds.items() if kind == "video")

    def __len__(self) -> int:
        return self._episodes

    @cached_property
    def lengths(self) -> list[int]:
        """Steps of each episode, from meta/episodes."""
        from lerobot.datasets import LeRobotDatasetMetadata

        _check_cache()
        try:
            return [int(steps) for steps in LeRobotDatasetMetadata(self.name, root=self._root).episodes["length"]]
        except Exception as error:  # arrow and datasets raise types of their own
            text = " ".join(str(error).split())[:300]
            raise DatasetError(
                f"meta/episodes of data set {self.name} cannot be read ({type(error).__name__}: {text})"
            ) from error

    def read(self, index: int, names: Iterable[str]) -> dict[str, Array]:
        """Arrays (T, ...) of the features of one episode."""
        from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata

        _check_cache()
        names = list(names)
        visual = [name for name in names if self._kinds[name] in ("video", "image")]
        try:
            meta = LeRobotDatasetMetadata(self.name, root=self._root)
            files = [meta.get_data_file_path(index)]
            files += [meta.get_video_file_path(index, name) for name in self.compressed]
            gone = [str(file) for file in files if not (self._root / file).is_file()]
            if gone:  # otherwise LeRobot asks the hub for them
                raise DatasetError(f"episode {index} of data set {self.name} is incomplete: it lacks {', '.join(gone)}")
            dataset = LeRobotDataset(self.name, root=self._root, episodes=[index], video_backend="pyav")
            columns = dataset.hf_dataset.with_format(None)  # as stored; the numpy format rounds to float32
            found = {name: np.asarray(columns[name], dtype=np.float64) for name in names if name not in visual}
            if visual:
                with warnings.catch_warnings():  # LeRobot 0.5 decodes with what torchvision is to lose, and says so
                    warnings.filterwarnings("ignore", message="The video decoding and encoding capabilities")
                    frames = [dataset[k] for k in range(len(dataset))]
                found |= {name: np.stack([np.asarray(frame[name]) for frame in frames]) for name in visual}
        except DatasetError:
            raise
        except Exception as error:  # av, arrow and datasets raise types of their own
            raise DatasetError(
                f"episode {index} of data set {self.name} cannot be read ({type(error).__name__}: "
                f"{' '.join(str(error).split())[:300]})"
            ) from error
        return found


def _check_cache() -> None:
    # Tables are unpacked there. Where they cannot be, LeRobot takes the folder for incomplete and asks the hub.
    import datasets  # type: ignore[import-untyped]

    check_writable(Path(datasets.config.HF_DATASETS_CACHE), DatasetError, "the cache of Hugging Face (HF_HOME)")


def _shape(feature: dict[str, Any]) -> tuple[int, ...]:
    shape = tuple(int(n) for n in feature["shape"])
    if feature["dtype"] in ("video", "image") and len(shape) == 3 and shape[0] != 3:
        return (shape[2], shape[0], shape[1])  # info.json keeps HWC, items and policies are CHW
    return shape
