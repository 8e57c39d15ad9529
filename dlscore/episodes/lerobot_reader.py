"""A LeRobotDataset v3.0: a folder, or a hub id that is cached or can be fetched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from dlscore.common.arrays import Array
from dlscore.common.hub import HubError, Repository, find_snapshot, is_hub_id
from dlscore.episodes.episode import DatasetError
from dlscore.episodes.features import RECORDED_NAMES
from dlscore.episodes.outcome import read_actor
from dlscore.episodes.parquet import EpisodeRow, read_columns, read_episodes, read_tasks, to_array
from dlscore.episodes.pictures import decode_images, decode_video

DATASET_TAG = "v3.0"  # LeRobot fetches the revision with this tag


CONVERTERS = {
    "v2.1": "convert it with python -m lerobot.scripts.convert_dataset_v21_to_v30",
    "older": "save it again with LeRobot 0.6; its converter from v2.1 is python -m lerobot.scripts.convert_dataset_v21_to_v30",
    "v2.0": "convert it first to v2.1 with LeRobot 0.3 (lerobot/datasets/v21/convert_dataset_v20_to_v21.py), then with "
    "python -m lerobot.scripts.convert_dataset_v21_to_v30",
}


class LeRobotReader:
    """Numbers as they are stored (float64), pictures as LeRobot decodes them (uint8 CHW). The files are read by path."""

    def __init__(self, repo_id: str, root: Path | None, revision: str | None, *, ask: bool = True) -> None:
        folder, self.revision = (root, "local") if root is not None else resolve_dataset(repo_id, revision, ask=ask)
        self.name, self._root = repo_id, folder
        try:
            info = json.loads((folder / "meta" / "info.json").read_text())
            version = str(info["codebase_version"])
            self.fps, self._episodes = float(info["fps"]), int(info["total_episodes"])
            self._kinds = {name: str(feature["dtype"]) for name, feature in info["features"].items()}
            self._data_path, self._video_path = str(info["data_path"]), str(info.get("video_path") or "")
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
        self.actor = read_actor(folder, self.features, RECORDED_NAMES)

    def __len__(self) -> int:
        return self._episodes

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The texts that episodes were recorded with."""
        return read_tasks(self._root)

    @cached_property
    def _rows(self) -> list[EpisodeRow]:
        try:
            rows = read_episodes(self._root, self._data_path, self._video_path, self.compressed)
        except (KeyError, IndexError, ValueError, TypeError) as error:  # patterns or rows that are not LeRobot's
            raise DatasetError(
                f"meta of data set {self.name} cannot be read ({type(error).__name__}: {error}); fetch it again"
            ) from error
        if len(rows) != self._episodes:
            raise DatasetError(
                f"meta/episodes of data set {self.name} has {len(rows)} episodes, meta/info.json says {self._episodes}; it is "
                "incomplete: fetch it again"
            )
        return rows

    @property
    def lengths(self) -> list[int]:
        """Steps of each episode, from meta/episodes."""
        return [row.length for row in self._rows]

    def files(self, index: int) -> list[Path]:
        """The files that an episode is read from: the tables of the data set, its parquet file, and its videos."""
        return [*self._tables, *self._own_files(index)]

    @cached_property
    def _tables(self) -> list[Path]:
        return [self._root / "meta" / "info.json", *sorted((self._root / "meta" / "episodes").rglob("*.parquet"))]

    def _own_files(self, index: int) -> list[Path]:
        row = self._rows[index]
        return [self._root / row.data, *(self._root / file for file, _, _ in row.videos.values())]

    def read(self, index: int, names: Iterable[str]) -> dict[str, Array]:
        """Arrays (T, …) float64 of the numeric features of one episode."""
        names = list(names)
        self._check_there(index)
        columns = read_columns(self._root, self._rows[index], names)
        return {name: to_array(columns[name], self.features[name], name) for name in names}

    def pictures(self, index: int, name: str, stop: int | None = None) -> Array:
        """(K, 3, H, W) uint8 pictures of a camera: all steps of an episode, or those before `stop`."""
        self._check_there(index)
        row = self._rows[index]
        steps = row.length if stop is None else min(stop, row.length)
        try:
            if self._kinds[name] == "image":
                return decode_images(read_columns(self._root, row, [name])[name][:steps], self._root)
            file, start, _ = row.videos[name]
            times = to_array(read_columns(self._root, row, ["timestamp"])["timestamp"], (), "timestamp")
            return decode_video(self._root / file, (start + times[:steps]).tolist(), 0.45 / self.fps)
        except DatasetError:
            raise
        except Exception as error:  # av, PIL and arrow raise types of their own
            raise DatasetError(
                f"'{name}' of episode {index} of data set {self.name} cannot be read ({type(error).__name__}: "
                f"{' '.join(str(error).split())[:300]})"
            ) from error

    def _check_there(self, index: int) -> None:
        if gone := [str(file.relative_to(self._root)) for file in self._own_files(index) if not file.is_file()]:
            raise DatasetError(f"episode {index} of data set {self.name} is incomplete: it lacks {', '.join(gone)}")


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


def _shape(feature: dict[str, Any]) -> tuple[int, ...]:
    shape = tuple(int(n) for n in feature["shape"])
    if feature["dtype"] in ("video", "image") and len(shape) == 3 and shape[0] != 3:
        return (shape[2], shape[0], shape[1])  # info.json keeps HWC, items and policies are CHW
    return shape
