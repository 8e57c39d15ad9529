"""Reading the cache: one HDF5 file an episode, written by dlscore, read by dlrender. numpy and h5py only.

`schema` says what is in a file. `writer` makes it under the name `*.h5.part` and renames it when it is complete, so a
finished name is a finished file. `open_cache` checks before it trusts. No HDF5 lock is taken: files are replaced, never
changed, and one run writes at a time (`lock`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from dlscore.cache import checksums, seal
from dlscore.cache.drift import largest_drift, stored_parts
from dlscore.cache.errors import CacheError
from dlscore.cache.layout import check_layout
from dlscore.cache.lookup import StoredFile
from dlscore.cache.methods import StoredMethods
from dlscore.cache.schema import BY_NAME, FIELDS, parse_version, part_path
from dlscore.common.arrays import Array
from dlscore.common.choices import check_known
from dlscore.common.text import reason_of

__all__ = ["EpisodeCache", "open_cache"]

SEALED = (1, 4)  # since this version of the schema a file is sealed, and every attribute has a checksum


class EpisodeCache(StoredMethods):
    """One episode read back. Small arrays are in memory; `score(method, k)` and `frame(k)` read a step at a time.

    A context manager; without `with`, call `close()`. `open_cache` makes it.
    """

    def __init__(self, file: StoredFile, path: Path) -> None:
        super().__init__(file, path)
        self.attrs: dict[str, Any] = dict(file.attrs())
        self.time = self._small("time")
        self.expert_action = self._small("expert_action")
        self.predicted_action = self._small("predicted_action")
        self.predicted_chunks = self._small("predicted_chunks")
        self.state = self._small("state")
        self.drift = self._small("drift")
        self.drift_parts = stored_parts(file.attrs("drift"))
        self._palette = np.asarray(file["frames/palette"][:])
        self._frames = file["frames/index"]
        self._last_frame: tuple[int, Array] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        done = "" if self.done.all() else f", {int(self.done.sum())} of them done"
        closed = "" if self._file else ", closed"
        return (
            f"<EpisodeCache: episode {self.episode}, {self.steps} steps{done}, methods {', '.join(self.methods)}, policy "
            f"{self.attrs.get('policy', 'unknown')}{closed}>"
        )

    def close(self) -> None:
        """Close the file. What is in memory stays; reading a step is then a CacheError."""
        self._file.file.close()

    @property
    def episode(self) -> int:
        """Index of the episode in its data set."""
        return int(self.attrs["episode"])

    @property
    def seed(self) -> int:
        """Of the run that scored it."""
        return int(self.attrs.get("seed", 0))

    @property
    def current(self) -> int:
        """Index of the current action in a chunk; CacheError if the file does not say."""
        now = self.attrs.get("current_action_index")
        if type(now) is not int or not 0 <= now < self.predicted_chunks.shape[2]:
            raise CacheError(
                f"{self.path} does not say which action of a chunk is the current one (current_action_index {now}); compute "
                "it again"
            )
        return now

    @property
    def every(self) -> int:
        """Row k of every array is step k · `every` of the episode."""
        return int(self.attrs.get("every", 1))

    @property
    def action_label(self) -> str:
        """Whose action the recorded one is: "executed", of a policy's own episode, or "expert"."""
        return "executed" if self.attrs.get("executed_by") else "expert"

    def has(self, name: str) -> bool:
        """Whether the file has a field of the schema, such as `reward`."""
        self._check_open()
        return name in BY_NAME and name in self._file

    def frame(self, step: int) -> Array:
        """(512, 512, 3) uint8 RGB environment frame of one step."""
        return self._palette[self.frame_index(step)]

    def frame_index(self, step: int) -> Array:
        """(512, 512) uint8 indices of one step's frame into `palette`; not to be changed."""
        if self._last_frame is None or self._last_frame[0] != step:  # several panels ask for the same
            self._last_frame = step, self._read(self._frames, step)
            self._last_frame[1].setflags(write=False)
        self._check_open()
        return self._last_frame[1]

    @property
    def palette(self) -> Array:
        """(256, 3) uint8 RGB colours of the frames."""
        return self._palette

    def largest_drift(self) -> dict[str, float]:
        """The largest value of each part of the drift over the steps that are done; {} if none is."""
        return largest_drift(self.drift_parts, self.drift[self.done])

    def array(self, name: str) -> Array:
        """All steps of a field of the schema, such as `state`; CacheError for a name that this file does not have."""
        self._check_open()
        field = BY_NAME.get(name)
        absent = field is not None and name not in self._file
        if field and absent and parse_version(self.attrs["schema_version"]) < parse_version(field.since):
            raise CacheError(
                f"{self.path} has no '{name}': it is of schema {self.attrs['schema_version']}, and the field came with "
                f"{field.since}; compute the episode again with --force"
            )
        if field and absent and field.optional:
            raise CacheError(
                f"{self.path} has no '{name}': data set {self.attrs.get('dataset', 'unknown')} does not record it, or an earlier "
                "version made the file; if it does, compute the episode again with --force"
            )
        check_known(
            "field", name, [field.name for field in FIELDS if field.name in self._file], CacheError, str(self.path)
        )
        return self._small(name)

    def to_xarray(self) -> Any:
        """The whole file as an `xarray.DataTree`, read on demand, with dimensions, coordinates, units and attributes."""
        self._check_open()
        try:
            import xarray
        except ImportError as error:
            raise CacheError("to_xarray needs xarray and h5netcdf; pip install xarray h5netcdf") from error
        # HDF5 opens a file a second time only with the same locking.
        return xarray.open_datatree(self.path, engine="h5netcdf", driver_kwds={"locking": False})


def open_cache(path: str | Path, *, partial: bool = False) -> EpisodeCache:
    """Open a cache for reading, after checking its schema and the name, type and shape of every dataset.

    Raises CacheError for a file that is absent, foreign, damaged, of another major schema, or (unless `partial`)
    unfinished. Unknown datasets and attributes are ignored. A file without a seal was changed by another program: in it,
    everything that dlscore wrote must match its checksum.
    """
    path = Path(path)
    if not path.is_file():
        hint = f"; {part_path(path)} is unfinished: run dlscore compute again" if part_path(path).is_file() else ""
        raise CacheError(f"{path} is not a file{hint or '; give the cache of an episode, such as episode_000.h5'}")
    try:
        sealed = seal.state(path)
        if sealed == "damaged":
            raise CacheError(f"{path} is damaged (its bytes are not those that were sealed); compute it again")
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError) as error:
        raise CacheError(
            f"{path} is not a readable HDF5 file ({reason_of(error)}); it is truncated or foreign: compute it again"
        ) from error
    try:
        stored = StoredFile(file)
        check_layout(stored, path)
        cache = EpisodeCache(stored, path)
        if sealed == "none":
            _check_unsealed(file, path)
        if not partial and not cache.done.all():
            raise CacheError(
                f"{path} is unfinished: {int(cache.done.sum())} of {cache.steps} steps; run dlscore compute again"
            )
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        file.close()
        raise CacheError(f"{path} is damaged ({reason_of(error)}); compute it again") from error
    except BaseException:
        file.close()
        raise
    return cache


def _check_unsealed(file: h5py.File, path: Path) -> None:
    version = parse_version(str(file.attrs["schema_version"]))
    if version >= SEALED and checksums.ATTRIBUTES not in file.attrs:  # only what is finished has checksums
        raise CacheError(f"{path} was changed by another program before it was finished; start it over with --force")
    if found := checksums.differences(file):
        raise CacheError(
            f"{path} was changed since dlscore wrote it ({found[0]}{f', and {len(found) - 1} more' if found[1:] else ''}); "
            "compute it again"
        )
