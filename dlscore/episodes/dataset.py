"""Expert episodes from a LeRobotDataset v3.0 (folder or hub id) or a Diffusion Policy zarr (folder or .zip).

`open_dataset` checks the data set before any work starts; `Dataset.load` then reads one episode. `reader.Reader` is what
a format must offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.common.errors import UserError
from dlscore.common.progress import Watch, silent
from dlscore.episodes.block_pose import (
    CHOICES,
    COMPANION,
    HAVE_COMPANION,
    Pictures,
    PoseUnknown,
    Record,
    keypoint_feature,
    locate,
    state_feature,
)
from dlscore.episodes.episode import ACTION, ENVIRONMENT, IMAGE, STATE, DatasetError, Episode, check_episode, is_image
from dlscore.episodes.features import EpisodePictures, check_features, map_names
from dlscore.episodes.lerobot_reader import LeRobotReader
from dlscore.episodes.outcome import outcome_features, read_outcome
from dlscore.episodes.reader import Reader
from dlscore.episodes.zarr_reader import ZarrReader
from dlscore.pusht.env import make_env, picture_difference, set_state

OLD_NAMES = {"sister": "companion"}  # of --block-pose
POSITION_LIMIT = 10_000.0  # px; positions beyond it are in other units
PICTURE_LIMIT = 6.0  # mean difference [1/255] above which a camera does not show the world as gym-pusht draws it


class Dataset:
    """A reader's episodes under the names that the policy uses, with the block's pose found."""

    def __init__(
        self, reader: Reader, rename: Mapping[str, str], block_pose: str, every_step: bool, watch: Watch
    ) -> None:
        self._reader, self._block_pose, self._every_step, self._watch = reader, block_pose, every_step, watch
        self.name, self.revision = reader.name, reader.revision
        self._theirs = {rename.get(name, name): name for name in reader.features}  # our name -> the reader's
        self.features = {name: tuple(reader.features[theirs]) for name, theirs in self._theirs.items()}

    def __len__(self) -> int:
        return len(self._reader)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The texts that episodes were recorded with; none in a format that has no texts."""
        return tuple(getattr(self._reader, "tasks", ()))

    @property
    def lengths(self) -> list[int]:
        """Steps of each episode, known without reading any."""
        return self._reader.lengths

    @cached_property
    def _companion(self) -> Reader | UserError:
        # Looked for on the network only if it is known to be the companion, or on request.
        try:
            companion = LeRobotReader(
                COMPANION, None, None, ask=self._block_pose == "companion" or self.name in HAVE_COMPANION
            )
            check_features(companion.name, companion.features, (STATE, ACTION), {ENVIRONMENT: (16,)})
        except UserError as error:
            return error
        return companion

    def companion(self) -> Reader:
        """The companion data set. Raises PoseUnknown with the reason if it is not available."""
        if isinstance(self._companion, UserError):
            raise PoseUnknown(str(self._companion))
        return self._companion

    def files(self, index: int) -> list[Path]:
        """The files that an episode is read from."""
        return self._reader.files(index)

    @property
    def cameras(self) -> list[str]:
        """Features that are pictures."""
        return sorted(name for name, shape in self.features.items() if is_image(shape))

    def actions(self, index: int) -> Array:
        """(T, 2) recorded actions [px] of an episode; nothing else of it is read. Raises DatasetError as `load` does."""
        self._check_index(index)
        found = {ACTION: self._reader.read(index, [self._theirs[ACTION]])[self._theirs[ACTION]]}
        self._check(index, found)
        return found[ACTION]

    def load(self, index: int, observations: Iterable[str] = (), steps: int | None = None) -> Episode:
        """One episode with the named observations; DatasetError if it is missing, incomplete or not finite.

        Pictures are decoded only of cameras that are needed, and only for the first `steps` steps.
        """
        self._check_index(index)
        observations = list(observations)
        for name in observations:
            if name not in self.features:
                raise DatasetError(
                    f"data set {self.name} has no feature '{name}', which the policy takes as input; it has "
                    f"{', '.join(sorted(self.features))}; --rename-map gives a feature another name"
                )
        recorded = [name for name in (state_feature(self.features), keypoint_feature(self.features)) if name]
        numeric = [name for name in observations if name not in self.cameras]
        wanted = dict.fromkeys([ACTION, STATE, *recorded, *numeric, *outcome_features(self.features)])
        read = self._reader.read(index, [self._theirs[name] for name in wanted])
        arrays = {name: read[self._theirs[name]] for name in wanted}
        self._check(index, arrays)
        pictures = EpisodePictures(self._reader, index, self._theirs, steps)
        record = Record(index, arrays, self._cameras(), pictures, self.companion, self._every_step, self._watch)
        block, pose_source, pose_note = locate(record, self._block_pose, self.name)
        agent = arrays[state_feature(self.features) or STATE][:, :2]  # the full state is the more exact one
        start = np.concatenate([agent[0], block[0]])
        came = read_outcome(self.features, arrays, start, f"episode {index} of {self.name}")
        camera = self._world_camera(pictures, start)
        found = {name: pictures(name) if name in self.cameras else arrays[name].astype(np.float32, copy=False)
                 for name in observations}  # fmt: skip
        shown = None if camera is None else pictures(camera)
        notes = "; ".join(filter(None, (pose_note, came.note)))
        episode = Episode(index, self._reader.fps, arrays[ACTION], agent, block, pose_source, found, shown, notes,
                          came.values, came.seed, self._reader.actor)  # fmt: skip
        return check_episode(episode, self.name)

    def _cameras(self) -> dict[str, bool]:
        # Camera -> whether it is a video, with losses.
        return {name: self._theirs[name] in self._reader.compressed for name in self.cameras}

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise DatasetError(f"episode {index} is not in data set {self.name}; it has episodes 0 to {len(self) - 1}")

    def _check(self, index: int, arrays: Mapping[str, Array]) -> None:
        # Before anything is drawn or fitted: shapes as declared, positions finite and near the world.
        for name, values in arrays.items():
            if values.shape[1:] != self.features[name]:
                raise DatasetError(
                    f"'{name}' of episode {index} of {self.name} has shape {values.shape[1:]}; the data set declares "
                    f"{self.features[name]}"
                )
            needed = name in (STATE, ACTION) or name == state_feature(self.features)
            if needed and not (np.isfinite(values).all() and np.abs(values).max() <= POSITION_LIMIT):
                raise DatasetError(
                    f"'{name}' of episode {index} of {self.name} holds non-finite values, or values beyond {POSITION_LIMIT:g}; "
                    "it is damaged, or in other units than px"
                )

    def _world_camera(self, pictures: Pictures, start: Array) -> str | None:
        # The camera whose first picture is closest to the rendered world at the start, if any is close.
        if not self.cameras:
            return None
        env = make_env()
        set_state(env, start)
        apart = {name: picture_difference(env, pictures(name, 1)[0]) for name in self.cameras}
        nearest = min(self.cameras, key=lambda name: apart[name])
        return nearest if apart[nearest] <= PICTURE_LIMIT else None


def open_dataset(
    repo_id: str | None = None,
    root: str | Path | None = None,
    revision: str | None = None,
    *,
    rename: Mapping[str, str] | None = None,
    optional_rename: Mapping[str, str] | None = None,
    block_pose: str = "auto",
    every_step: bool = False,
    watch: Watch = silent,
) -> Dataset:
    """The data set at the folder `root`, or else the hub's `repo_id`.

    rename: names of the data set's features -> the policy's, as LeRobot's rename_map. optional_rename: the same, for
    features that may be absent. block_pose: the source of the block's pose, one of `block_pose.CHOICES`. every_step:
    whether the pose is needed at every step, for Settings(replay="states"). watch: shows the progress of long fits.

    Raises DatasetError, before any download if possible, if there is no such data set, if LeRobot cannot read its version,
    or if it lacks actions, the agent's position or any source of the block's pose.
    """
    block_pose = OLD_NAMES.get(block_pose, block_pose)
    check_choice("--block-pose", block_pose, CHOICES, DatasetError)
    reader = _open_reader(repo_id, root, revision)
    names = map_names(reader, rename or {}, optional_rename or {})
    dataset = Dataset(reader, names, block_pose, every_step, watch)
    check_features(dataset.name, dataset.features, (ACTION,), {})
    if tuple(dataset.features.get(STATE, ())) != (5,):
        check_features(dataset.name, dataset.features, (STATE,), {})
    _check_pose(dataset, block_pose)
    return dataset


def _open_reader(repo_id: str | None, root: str | Path | None, revision: str | None) -> Reader:
    if root is None:
        if repo_id is None:
            raise DatasetError("no data set given; name one with --dataset-repo-id (hub) or --dataset-root (folder)")
        return LeRobotReader(repo_id, None, revision)
    path = Path(root)
    if not path.exists():
        raise DatasetError(
            f"--dataset-root {path} does not exist; give a LeRobotDataset folder or a .zarr folder or .zip"
        )
    if (path / "meta" / "info.json").is_file():
        return LeRobotReader(repo_id or path.name, path, revision)
    if (path / ".zgroup").is_file() or path.suffix == ".zip":
        return ZarrReader(path)
    raise DatasetError(
        f"--dataset-root {path} is neither a LeRobotDataset (it has no meta/info.json) nor a Diffusion Policy "
        "zarr (it has no .zgroup); give the folder that holds one of these"
    )


def _check_pose(source: Dataset, wanted: str) -> None:
    # The sources of the block's pose, as far as known without reading an episode.
    there = {"state": state_feature(source.features) is not None, "image": bool(source.cameras),
             "keypoints": keypoint_feature(source.features) is not None}  # fmt: skip
    if any(there.values()) if wanted == "auto" else there.get(wanted, False):
        return
    reason = f"it has neither 'full_state' (5,) nor '{ENVIRONMENT}' (16,) nor a picture such as '{IMAGE}'"
    if wanted in ("auto", "companion"):
        try:
            source.companion()
        except PoseUnknown as error:
            reason = f"{reason}; {error}" if wanted == "auto" else str(error)
        else:
            return
    elif wanted != "auto":
        reason = f"--block-pose {wanted} needs a feature that it lacks; it has {', '.join(sorted(source.features))}"
    raise DatasetError(
        f"data set {source.name} does not say where the block is, and a replay cannot start: {reason}; use "
        f"{COMPANION} or the Diffusion Policy zarr"
    )
