"""A Diffusion Policy zarr, such as `pusht_cchi_v7_replay.zarr`, as a folder or a .zip."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dlscore.common.arrays import Array
from dlscore.episodes.episode import ACTION, ENVIRONMENT, FULL_STATE, IMAGE, STATE, DatasetError
from dlscore.pusht.geometry import keypoints_of_pose


class ZarrReader:
    """Reads the zarr; agent position and keypoints are derived from its full state, under LeRobot's names."""

    fps = 10.0
    compressed: tuple[str, ...] = ()  # its images are lossless
    actor = ""

    def __init__(self, path: Path) -> None:
        try:
            import zarr
        except ImportError as error:
            raise DatasetError(
                f"reading {path} needs zarr, which is not installed; pip install 'dlscore[zarr]'"
            ) from error
        try:
            store = zarr.ZipStore(str(path), mode="r") if path.suffix == ".zip" else zarr.DirectoryStore(str(path))
            # A zip may contain the folder itself: the shortest path of a .zgroup is the root.
            root = min((key for key in store if key.endswith(".zgroup")), key=len, default=".zgroup")
            group = zarr.open_group(store, mode="r", path=root.removesuffix(".zgroup").strip("/"))
            self._state, self._action = group["data/state"], group["data/action"]
            self._image = group.get("data/img")
            self._ends = np.asarray(group["meta/episode_ends"][:], dtype=np.int64)
            self._check(path)
        except DatasetError:
            raise
        except Exception as error:  # zarr raises many types for a damaged store
            raise DatasetError(
                f"{path} is not a Diffusion Policy zarr ({type(error).__name__}: {error}); it needs data/state, "
                "data/action and meta/episode_ends"
            ) from error
        self._path, self.name, self.revision = path, path.name, "local"
        self.features: dict[str, tuple[int, ...]] = {
            ACTION: (2,), STATE: (2,), ENVIRONMENT: (16,), FULL_STATE[0]: (5,),
        }  # fmt: skip
        if self._image is not None:
            self.features[IMAGE] = (3, *self._image.shape[1:3])

    def _check(self, path: Path) -> None:
        n = self._state.shape[0]
        shapes = {"data/state": (self._state, (n, 5)), "data/action": (self._action, (n, 2))}
        if self._image is not None:
            shapes["data/img"] = (self._image, (n, *self._image.shape[1:3], 3))
        for name, (array, shape) in shapes.items():
            if array.shape != shape:
                raise DatasetError(f"{name} of {path} has shape {array.shape}; a PushT zarr's is {shape}")
            if array.dtype.kind not in "fiu":
                raise DatasetError(f"{name} of {path} holds {array.dtype}; a PushT zarr's holds numbers")
            if array.nchunks_initialized < array.nchunks:  # zarr would give zeros
                raise DatasetError(
                    f"{name} of {path} has {array.nchunks_initialized} of its {array.nchunks} chunks; fetch it again"
                )
        if self._ends.ndim != 1:
            raise DatasetError(
                f"meta/episode_ends of {path} has shape {self._ends.shape}; a PushT zarr's is (episodes,)"
            )
        if not len(self._ends) or self._ends[-1] > n or (np.diff(self._ends, prepend=0) <= 0).any():
            raise DatasetError(f"meta/episode_ends of {path} must ascend from above 0 to at most {n}; it is damaged")

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def lengths(self) -> list[int]:
        """Steps of each episode."""
        return [int(steps) for steps in np.diff(self._ends, prepend=0)]

    def files(self, index: int) -> list[Path]:
        """The files that an episode is read from: the .zip, or the chunks of a folder's arrays, with their metadata."""
        if self._path.suffix == ".zip":
            return [self._path]
        start, end = int(self._ends[index - 1]) if index else 0, int(self._ends[index])
        found = [each for each in self._path.rglob(".z*") if each.is_file()]
        for array in (self._state, self._action, self._image):
            if array is not None:
                rows, folder = array.chunks[0], self._path / array.path
                for k in range(start // rows, (end - 1) // rows + 1):
                    found += sorted(folder.glob(f"{k}.*")) or [folder / str(k)]
        return [*found, *sorted((self._path / "meta").rglob("[0-9]*"))]

    def read(self, index: int, names: Iterable[str]) -> dict[str, Array]:
        """Arrays (T, ...) of the features of one episode."""
        try:
            return self._read(index, names)
        except DatasetError:
            raise
        except Exception as error:  # zarr's codecs raise types of their own
            raise DatasetError(
                f"episode {index} of {self.name} cannot be read ({type(error).__name__}: {error}); fetch it again"
            ) from error

    def _read(self, index: int, names: Iterable[str]) -> dict[str, Array]:
        rows = slice(int(self._ends[index - 1]) if index else 0, int(self._ends[index]))
        state = np.asarray(self._state[rows], dtype=np.float64)
        found: dict[str, Array] = {}
        for name in names:
            if name == ACTION:
                found[name] = np.asarray(self._action[rows], dtype=np.float64)
            elif name == ENVIRONMENT:
                found[name] = keypoints_of_pose(state[:, 2:]).reshape(len(state), 16)
            else:
                found[name] = state[:, :2] if name == STATE else state
        return found

    def pictures(self, index: int, name: str, stop: int | None = None) -> Array:
        """(K, 3, H, W) uint8 pictures: all steps of an episode, or those before `stop`."""
        start, end = int(self._ends[index - 1]) if index else 0, int(self._ends[index])
        try:
            values = np.asarray(self._image[start : end if stop is None else min(end, start + stop)])
        except Exception as error:  # zarr's codecs raise types of their own
            raise DatasetError(
                f"episode {index} of {self.name} cannot be read ({type(error).__name__}: {error}); fetch it again"
            ) from error
        pictures = values.astype(np.uint8)
        if values.max() <= 1 or not np.array_equal(pictures, values):
            raise DatasetError(
                f"data/img of {self.name} has values from {values.min():g} to {values.max():g}; a PushT zarr's are integers "
                "from 0 to 255"
            )
        return pictures.transpose(0, 3, 1, 2)
