"""Reading the cache: one HDF5 file an episode, written by dlscore, read by dlrender. numpy and h5py only.

`schema` says what is in it. `cache_writer` makes the file under the name `*.h5.part` and renames it when it is whole, so a
finished name is a finished file. `read_episode` checks before it trusts. No HDF5 lock is taken: files are replaced, never
changed, and one run writes at a time (`lock`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dlscore import checksums, seal
from dlscore.cache_check import check_layout, drift_parts, required_checks
from dlscore.grid import Grid
from dlscore.schema import COORDINATES, DRIFT_UNITS, FAR, CacheError, json_or_text, part_path, reason

Array = NDArray[Any]

SEALED = [1, 4]  # since this version of the schema a file is sealed, and every attribute has a checksum


def largest_drift(episode: EpisodeCache) -> dict[str, float]:
    """The largest of each part of the drift over the steps that are done; {} if none is."""
    if not episode.done.any():
        return {}
    return dict(zip(episode.drift_parts, (float(v) for v in episode.drift[episode.done].max(axis=0)), strict=True))


def format_drift(drift: Mapping[str, float]) -> str:
    """`agent 0.1 px, block 0.2 px, …`, as users read it."""
    return ", ".join(
        f"{part.rpartition('_')[0] or part} {value:.2g} {DRIFT_UNITS[part]}" for part, value in drift.items()
    )


class EpisodeCache:
    """One episode read back. Small arrays are in memory; `score(method, k)` and `frame(k)` read a step at a time."""

    def __init__(self, file: h5py.File, path: Path, sizes: Mapping[str, int]) -> None:
        self.path, self._file = path, file
        self.attrs: dict[str, Any] = {key: json_or_text(value) for key, value in file.attrs.items()}
        self.grid = Grid(sizes["x"])
        self.methods: tuple[str, ...] = tuple(sorted(file["scores"]))
        self._score_attrs = {
            method: {key: json_or_text(value) for key, value in file[f"scores/{method}"].attrs.items() if key.islower()}
            for method in self.methods
        }
        self.steps = sizes["step"]
        self.done = np.asarray(file["done"][:], dtype=bool)
        self.time = self._small("time")
        self.expert_action = self._small("expert_action")
        self.predicted_action = self._small("predicted_action")
        self.predicted_chunks = self._small("predicted_chunks")
        self.state = self._small("state")
        self.drift = self._small("drift")
        self.drift_parts = drift_parts(file)
        self._palette = np.asarray(file["frames/palette"][:])
        # Looked up once: h5py takes longer to find a dataset than to read a step of it.
        self._scores = {method: file[f"scores/{method}"] for method in self.methods}
        self._frames = file["frames/index"]

    @property
    def episode(self) -> int:
        """Index of the episode in its data set."""
        return int(self.attrs["episode"])

    def score_attrs(self, method: str) -> dict[str, Any]:
        """Units, definition, parameters, network evaluations a step of a method."""
        self._score(method)  # raises for a method that is not there
        return self._score_attrs[method]

    def checks(self, method: str) -> dict[str, Array]:
        """(T,) float32 of each check that the method has: `sampling_error`, `level_difference`; {} for most methods."""
        self._score(method)
        return {check: self._small(field.name) for check, field in required_checks(self._file, method).items()}

    def score(self, method: str, step: int) -> Array:
        """(N, N) float32 scores [y, x] of one step."""
        values = _read(self._score(method), step)
        if not np.isfinite(values).all():
            raise CacheError(
                f"{self.path}: scores/{method} of step {step} holds values that are not finite; score it again"
            )
        return values

    def frame(self, step: int) -> Array:
        """(512, 512, 3) uint8 RGB environment frame of one step."""
        return self._palette[self.frame_index(step)]

    def frame_index(self, step: int) -> Array:
        """(512, 512) uint8 places of one step's frame in `palette`."""
        return _read(self._frames, step)

    @property
    def palette(self) -> Array:
        """(256, 3) uint8 RGB colours of the frames."""
        return self._palette

    def _score(self, method: str) -> h5py.Dataset:
        if method not in self.methods:
            raise CacheError(f"{self.path} has no scores of method '{method}'; it has {', '.join(self.methods)}")
        return self._scores[method]

    def _small(self, name: str) -> Array:
        values = _read(self._file[name], slice(None))
        known = values[self.done] if name not in COORDINATES else values
        if not np.isfinite(known).all():
            raise CacheError(f"{self.path}: '{name}' holds values that are not finite; compute the episode again")
        if np.abs(known).max(initial=0) > FAR:
            raise CacheError(f"{self.path}: '{name}' holds values beyond {FAR:g}; compute the episode again")
        return values


@contextmanager
def read_episode(path: str | Path, *, partial: bool = False) -> Iterator[EpisodeCache]:
    """Open a cache for reading, after checking its schema and the name, type and shape of every dataset.

    Raises CacheError for a file that is absent, foreign, damaged, of another major schema, or (unless `partial`)
    unfinished. Datasets and attributes that the schema does not know are ignored; in a file without a seal, which another
    program has changed since, whatever dlscore wrote must have its checksum.
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
            f"{path} is no readable HDF5 file ({reason(error)}); it is truncated or foreign: compute it again"
        ) from error
    with file:
        try:
            episode = EpisodeCache(file, path, check_layout(file, path))
            if sealed == "none":
                _check_unsealed(file, path)
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise CacheError(f"{path} is damaged ({reason(error)}); compute it again") from error
        if not partial and not episode.done.all():
            raise CacheError(
                f"{path} is unfinished: {int(episode.done.sum())} of {episode.steps} steps; run dlscore compute again"
            )
        yield episode


def _check_unsealed(file: h5py.File, path: Path) -> None:
    version = [int(part) for part in str(file.attrs["schema_version"]).split(".")]
    if version >= SEALED and checksums.ATTRIBUTES not in file.attrs:  # only what is finished has checksums
        raise CacheError(f"{path} was changed by another program before it was finished; start it over with --force")
    if found := checksums.differences(file):
        raise CacheError(
            f"{path} was changed since dlscore wrote it ({found[0]}{f', and {len(found) - 1} more' if found[1:] else ''}); "
            "compute it again"
        )


def _read(dataset: h5py.Dataset, rows: int | slice) -> Array:
    try:
        return np.asarray(dataset[rows])
    except (OSError, RuntimeError, ValueError) as error:
        raise CacheError(
            f"{dataset.file.filename} is damaged at '{dataset.name}' ({reason(error)}); compute it again"
        ) from error
