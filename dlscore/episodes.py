"""Expert episodes from a LeRobotDataset v3.0 (folder or hub id) or a Diffusion Policy zarr (folder or .zip).

`open_source` answers everything that can be wrong with the data before any work starts; `Source.load` then reads one
episode. All positions are px with y down, angles rad; images are float32 CHW in [0, 1], as LeRobot's are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlscore import pusht
from dlscore.errors import UserError

Array = NDArray[Any]

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
FULL_STATE = ("full_state", "observation.full_state")  # names under which a data set may hold the 5-number state


class DatasetError(UserError):
    """A data set that cannot be found, read or used."""


@dataclass(frozen=True)
class Episode:
    """One expert episode of T steps, whole in memory.

    action: (T, 2) px. state: (T, 5) recorded agent position, and block pose from `pose_source`.
    observations: feature name -> (T, ...) as the data set gives it, before normalisation.
    """

    index: int
    fps: float
    action: Array
    state: Array
    pose_source: str
    observations: dict[str, Array]

    def __len__(self) -> int:
        return len(self.action)

    def fingerprint(self) -> str:
        """SHA-256 of everything that scores depend on, so that changed data are never taken for the same."""
        digest = hashlib.sha256()
        for name, values in sorted({"action": self.action, "state": self.state, **self.observations}.items()):
            digest.update(f"{name} {values.shape} {values.dtype.str}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


class Source(Protocol):
    """A set of episodes. `features` maps the names it can give to their shapes."""

    name: str
    revision: str
    features: dict[str, tuple[int, ...]]

    def __len__(self) -> int: ...

    def load(self, index: int, observations: Iterable[str]) -> Episode: ...


def open_source(repo_id: str | None = None, root: str | Path | None = None, revision: str | None = None) -> Source:
    """The data set at the folder `root`, or else the hub's `repo_id`.

    Raises DatasetError, before any download where that is possible, if there is none, if it is of a version that
    LeRobot 0.6 does not read, or if it lacks actions, the agent's position or a source of the block's pose.
    """
    if root is None and repo_id is None:
        raise DatasetError("no data set given; name one with --dataset-repo-id (hub) or --dataset-root (folder)")
    source: Source
    if root is not None:
        path = Path(root)
        if not path.exists():
            raise DatasetError(
                f"--dataset-root {path} does not exist; give a LeRobotDataset folder or a .zarr folder or .zip"
            )
        if (path / "meta" / "info.json").is_file():
            source = LeRobotSource(repo_id or path.name, path, revision)
        elif (path / ".zgroup").is_file() or path.suffix == ".zip":
            source = ZarrSource(path)
        else:
            raise DatasetError(
                f"--dataset-root {path} is neither a LeRobotDataset (it has no meta/info.json) nor a Diffusion Policy "
                "zarr (it has no .zgroup); give the folder that holds one of these"
            )
    else:
        assert repo_id is not None
        source = LeRobotSource(repo_id, None, revision)
    _check_features(source)
    return source


def _check_features(source: Source) -> None:
    for name in (ACTION, STATE):
        if name not in source.features:
            raise DatasetError(
                f"data set {source.name} has no feature '{name}' (it has {', '.join(sorted(source.features))}); "
                "PushT scoring needs expert actions and the agent's position"
            )
        if source.features[name] != (2,):
            raise DatasetError(
                f"feature '{name}' of data set {source.name} has shape {source.features[name]}; PushT's has (2,)"
            )
    if not any(name in source.features for name in (*FULL_STATE, ENVIRONMENT)):
        raise DatasetError(
            f"data set {source.name} does not say where the block is: it has neither '{FULL_STATE[0]}' (5,) nor "
            f"'{ENVIRONMENT}' (16,), and a replay cannot start; use lerobot/pusht_keypoints or the Diffusion Policy zarr"
        )


class ZarrSource:
    """A Diffusion Policy `pusht_cchi_v7_replay.zarr`; keypoints are computed from its full state."""

    def __init__(self, path: Path) -> None:
        try:
            import zarr
        except ImportError as error:
            raise DatasetError(
                f"reading {path} needs zarr, which is not installed; pip install 'dlscore[zarr]'"
            ) from error
        try:
            store = zarr.ZipStore(str(path), mode="r") if path.suffix == ".zip" else zarr.DirectoryStore(str(path))
            # A zip may hold the folder itself: the shortest name of a group's marker says where the root is.
            root = min((key for key in store if key.endswith(".zgroup")), key=len, default=".zgroup")
            group = zarr.open_group(store, mode="r", path=root.removesuffix(".zgroup").strip("/"))
            self._state, self._action = group["data/state"], group["data/action"]
            self._image = group.get("data/img")
            self._ends = np.asarray(group["meta/episode_ends"][:], dtype=np.int64)
        except Exception as error:  # zarr raises many types for a damaged store
            raise DatasetError(
                f"{path} is no Diffusion Policy zarr ({type(error).__name__}: {error}); it needs data/state, "
                "data/action and meta/episode_ends"
            ) from error
        self.name, self.revision = path.name, "local"
        self.features = {ACTION: self._action.shape[1:], STATE: (2,), ENVIRONMENT: (16,), FULL_STATE[0]: (5,)}
        if self._image is not None:
            self.features["observation.image"] = (3, *self._image.shape[1:3])

    def __len__(self) -> int:
        return len(self._ends)

    def load(self, index: int, observations: Iterable[str]) -> Episode:
        _check_index(self, index)
        rows = slice(int(self._ends[index - 1]) if index else 0, int(self._ends[index]))
        state = np.asarray(self._state[rows], dtype=np.float64)
        found: dict[str, Array] = {}
        for name in observations:
            if name == STATE:
                found[name] = state[:, :2].astype(np.float32)
            elif name == ENVIRONMENT:
                found[name] = pusht.pose_keypoints(state[:, 2:]).reshape(len(state), 16).astype(np.float32)
            elif name == "observation.image" and self._image is not None:
                found[name] = np.asarray(self._image[rows], dtype=np.float32).transpose(0, 3, 1, 2) / np.float32(255)
            else:
                raise _missing(self, name)
        action = np.asarray(self._action[rows], dtype=np.float64)
        return _checked(Episode(index, 10.0, action, state, "full state", found), self.name)


class LeRobotSource:
    """A LeRobotDataset v3.0 with full state or keypoints; images only where the policy looks at them."""

    def __init__(self, repo_id: str, root: Path | None, revision: str | None) -> None:
        from dlscore.hub import dataset_folder

        folder, self.revision = (root, "local") if root is not None else dataset_folder(repo_id, revision)
        self.name, self._repo_id, self._root = repo_id, repo_id, folder
        try:
            info = json.loads((folder / "meta" / "info.json").read_text())
            version = str(info["codebase_version"])
            self._fps, self._episodes = float(info["fps"]), int(info["total_episodes"])
            self._kinds = {name: str(feature["dtype"]) for name, feature in info["features"].items()}
            self.features = {name: _shape(feature) for name, feature in info["features"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{folder}/meta/info.json cannot be read ({type(error).__name__}: {error})") from error
        if not version.startswith("v3."):
            raise DatasetError(
                f"data set {repo_id} is of LeRobot's format {version}; v3.0 is read here: convert older ones with "
                "python -m lerobot.scripts.convert_dataset_v21_to_v30"
            )

    def __len__(self) -> int:
        return self._episodes

    def load(self, index: int, observations: Iterable[str]) -> Episode:
        _check_index(self, index)
        observations = list(observations)
        for name in observations:
            if name not in self.features:
                raise _missing(self, name)
        from lerobot.datasets import LeRobotDataset

        try:
            dataset = LeRobotDataset(self._repo_id, root=self._root, episodes=[index], video_backend="pyav")
            columns = dataset.hf_dataset.with_format(None)  # as stored; the numpy format rounds to float32
            full = next((name for name in FULL_STATE if name in self.features), None)
            agent, action = (np.asarray(columns[name], dtype=np.float64) for name in (STATE, ACTION))
            if full is not None:
                state, pose_source = np.asarray(columns[full], dtype=np.float64), f"full state ({full})"
            else:
                poses = [pusht.block_pose(points) for points in np.asarray(columns[ENVIRONMENT])]
                state, pose_source = np.concatenate([agent, np.array(poses)], axis=1), f"keypoints ({ENVIRONMENT})"
            visual = [name for name in observations if self._kinds[name] in ("video", "image")]
            found = {name: np.asarray(columns[name], dtype=np.float32) for name in observations if name not in visual}
            if visual:
                frames = [dataset[k] for k in range(len(action))]
                found |= {name: np.stack([np.asarray(frame[name]) for frame in frames]) for name in visual}
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DatasetError(
                f"episode {index} of {self.name} cannot be read ({type(error).__name__}: {error})"
            ) from error
        return _checked(Episode(index, self._fps, action, state, pose_source, found), self.name)


def _shape(feature: dict[str, Any]) -> tuple[int, ...]:
    shape = tuple(int(n) for n in feature["shape"])
    if feature["dtype"] in ("video", "image") and len(shape) == 3 and shape[0] != 3:
        return (shape[2], shape[0], shape[1])  # info.json keeps HWC, items and policies are CHW
    return shape


def _missing(source: Source, name: str) -> DatasetError:
    return DatasetError(
        f"data set {source.name} has no feature '{name}', which the policy takes as input; "
        f"it has {', '.join(sorted(source.features))}"
    )


def _check_index(source: Source, index: int) -> None:
    if not 0 <= index < len(source):
        raise DatasetError(f"episode {index} is not in data set {source.name}; it has episodes 0 to {len(source) - 1}")


def _checked(episode: Episode, name: str) -> Episode:
    n = len(episode.action)
    arrays = {"action": episode.action, "state": episode.state, **episode.observations}
    if n == 0 or episode.state.shape != (n, 5):
        raise DatasetError(
            f"episode {episode.index} of {name} has {n} actions and a state of shape {episode.state.shape}; "
            "a PushT episode has T actions and a state (T, 5)"
        )
    for key, values in arrays.items():
        if len(values) != n:
            raise DatasetError(f"'{key}' of episode {episode.index} of {name} has {len(values)} steps, its actions {n}")
        if not np.isfinite(values).all():
            raise DatasetError(f"'{key}' of episode {episode.index} of {name} holds values that are not finite")
    return episode
