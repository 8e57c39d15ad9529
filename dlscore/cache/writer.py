"""Writing the cache: create or continue `*.h5.part`, block by block, and rename it when it is complete."""

from __future__ import annotations

import glob
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from dlscore.cache import checksums, seal
from dlscore.cache.datasets import create_score, lay_out, set_attrs, store
from dlscore.cache.drift import stored_parts
from dlscore.cache.errors import CacheError, FolderError
from dlscore.cache.lookup import StoredFile
from dlscore.cache.palette import index_frames
from dlscore.cache.schema import (
    FIELDS,
    FIXED_DIMENSIONS,
    FRAMES,
    VERSION,
    part_path,
)
from dlscore.common.arrays import Array
from dlscore.common.text import reason_of
from dlscore.grid import Grid


@dataclass(frozen=True)
class Header:
    """What a cache holds from the start.

    time (T,) [s]; `chunks` drawn per step, each of `horizon` actions; `drift_parts` name the columns of `drift`; `scores`
    maps each method to its attributes, `attrs` are those of the file (JSON-able).
    """

    time: Array
    grid: Grid
    chunks: int
    horizon: int
    drift_parts: Sequence[str]
    scores: Mapping[str, Mapping[str, Any]]
    attrs: Mapping[str, Any]


class CacheWriter:
    """Writes one episode: `create` or `extend` it, or construct to resume; then `write` blocks of steps, then `finish`.

    Each block goes into a copy that then replaces the part file, because HDF5 leaves no file intact that it is changing.
    So a kill or a full disk costs at most the current block. Copying costs little beside scoring: a part grows to a few
    MB. `check_lock` is called before a file is replaced, and raises if another run has taken over the lock (`lock`).
    """

    def __init__(self, path: Path, check_lock: Callable[[], None] = lambda: None) -> None:
        self.path, self._part, self._check_lock = path, part_path(path), check_lock
        check_lock()
        for draft in path.parent.glob(f"{glob.escape(path.name)}.*.draft"):  # left by killed runs
            draft.unlink(missing_ok=True)
        with self._reading() as file:
            self.done: Array = np.asarray(file["done"][:], dtype=bool)  # (T,) which steps are complete
            self.steps = len(self.done)
            # Names of the columns of `drift`; an earlier schema has fewer.
            self.drift_parts = stored_parts(StoredFile(file).attrs("drift"))
            self.extending: list[str] = json.loads(
                file.attrs.get("extending", "[]")
            )  # methods added to a finished file
            # Seconds and network evaluations of all blocks in the file.
            self.spent = {name: float(file.attrs.get(name, 0)) for name in ("wall_time_s", "network_evaluations")}
            # What an earlier schema did not have yet is not in a file that it began.
            self._lacking = {field.name for field in FIELDS if field.name not in file}
            self.outcome = [field.name for field in FIELDS if field.optional and field.name in file]
            self._colours = int(file["frames/palette"].attrs["colours"])
            self._palette = {tuple(map(int, rgb)): k for k, rgb in enumerate(file["frames/palette"][: self._colours])}

    @classmethod
    def create(cls, path: Path, header: Header, check_lock: Callable[[], None] = lambda: None) -> Self:
        """Start a new cache at `path`."""
        cells, centres = header.grid.resolution, header.grid.centres
        sizes = {"step": len(header.time), "x": cells, "y": cells, "sample": header.chunks, "horizon": header.horizon,
                 "drift_part": len(header.drift_parts)}  # fmt: skip
        with _draft(path, None, check_lock) as file:
            lay_out(file, sizes | FIXED_DIMENSIONS, header.attrs)
            file["drift"].attrs["parts"] = json.dumps(list(header.drift_parts))
            file["time"][:], file["x"][:], file["y"][:] = header.time, centres, centres
            for method, score_attrs in header.scores.items():
                create_score(file, method, sizes | FIXED_DIMENSIONS, score_attrs)
        return cls(path, check_lock)

    @classmethod
    def extend(
        cls, path: Path, scores: Mapping[str, Mapping[str, Any]], check_lock: Callable[[], None] = lambda: None
    ) -> Self:
        """Start an unfinished copy of the finished `path` with room for more methods; `path` stays until `finish`."""
        with _draft(path, path, check_lock) as file:
            chunks = file["predicted_chunks"].shape
            sizes = {"step": chunks[0], "x": len(file["x"]), "y": len(file["y"]), "sample": chunks[1],
                     "horizon": chunks[2]} | FIXED_DIMENSIONS  # fmt: skip
            for method, score_attrs in scores.items():
                create_score(file, method, sizes, score_attrs)
            if all(
                field.name in file for field in FIELDS if not field.optional
            ):  # an older file does not have what is required by now
                file.attrs["schema_version"] = VERSION
            file["done"][:] = 0
            set_attrs(file, {"extending": list(scores)})
        return cls(path, check_lock)

    @classmethod
    def narrow(cls, path: Path, methods: Sequence[str], check_lock: Callable[[], None] = lambda: None) -> Self:
        """Resume the part of `path` without some of the methods that it was begun with; the others keep their steps."""
        with _draft(path, part_path(path), check_lock) as file:
            for method in methods:
                del file[f"scores/{method}"]
                for group in ("checks", "mixture"):
                    file.pop(f"{group}/{method}", None)
            if "extending" in file.attrs:
                left = [method for method in json.loads(file.attrs["extending"]) if method not in methods]
                set_attrs(file, {"extending": left})
        return cls(path, check_lock)

    def read(self, name: str, steps: slice) -> Array:
        """Rows of a dataset as they are stored."""
        with self._reading() as file:
            return np.asarray(file[name][steps])

    def write(self, steps: slice, arrays: Mapping[str, Array], attrs: Mapping[str, Any] | None = None) -> None:
        """Store complete steps: arrays (len(steps), …) by field name; frames are (…, 512, 512, 3) uint8 RGB.

        A field that the schema got after the file was begun is left out.
        """
        arrays = {name: values for name, values in arrays.items() if name not in self._lacking}
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise CacheError(
                    f"{name} of steps {steps.start} to {steps.stop - 1} holds non-finite values; none of these steps was "
                    "written: check the policy's weights and statistics"
                )
        palette = dict(self._palette)
        stored = {name: index_frames(values, palette) if name == FRAMES else values for name, values in arrays.items()}
        with _draft(self.path, self._part, self._check_lock) as file:
            for colour, k in palette.items():
                if colour not in self._palette:
                    file["frames/palette"][k] = colour
            file["frames/palette"].attrs["colours"] = len(palette)
            for name, values in stored.items():
                store(file[name], steps, values)
            file["done"][steps] = 1
            set_attrs(file, attrs or {})
        self._palette = palette
        self.done[steps] = True

    def finish(self, attrs: Mapping[str, Any] | None = None) -> None:
        """Write the last attributes and the checksums, and rename the file. Every step must be done."""
        if not self.done.all():
            raise CacheError(f"{self.path}: {int((~self.done).sum())} steps are missing; it stays partial")
        with _draft(self.path, self._part, self._check_lock) as file:
            set_attrs(file, attrs or {})
            file.attrs.pop("extending", None)
            checksums.record(file)
        self._check_lock()
        try:
            os.replace(self._part, self.path)
        except OSError as error:
            raise FolderError(f"cannot finish {self.path} ({reason_of(error)})") from error

    @contextmanager
    def _reading(self) -> Iterator[h5py.File]:
        try:
            with h5py.File(self._part, "r", locking=False) as file:
                yield file
        except (OSError, KeyError) as error:
            raise CacheError(
                f"{self._part} cannot be continued ({reason_of(error)}); start it over with --force"
            ) from error


@contextmanager
def _draft(path: Path, origin: Path | None, check_lock: Callable[[], None]) -> Iterator[h5py.File]:
    # The next part file of `path`, a copy of `origin` at first. It is renamed when it is complete and flushed to disk. Its
    # temporary name is unique, so that a run that was suspended and lost the lock cannot touch another run's file.
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.draft")
    try:
        if origin is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            shutil.copyfile(origin, draft)
            seal.strip(draft)
        with h5py.File(draft, "w" if origin is None else "r+", locking=False) as file:
            yield file
        check_lock()  # if another run holds it now, it has removed the draft
        seal.add(draft)
        check_lock()
        os.replace(draft, part_path(path))
    except BaseException as error:
        with suppress(OSError):
            draft.unlink()
        # On a full disk HDF5 raises another error when it closes the file; the first one says more.
        first = error.__context__ if isinstance(error.__context__, OSError) else error
        if isinstance(first, OSError):
            raise FolderError(f"cannot write {draft} ({reason_of(first)})") from error
        raise
