"""Writing the cache: create or go on with `*.h5.part`, block by block, and give it its own name when it is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from dlscore.cache import (
    BY_NAME,
    COORDINATES,
    FIELDS,
    FIXED,
    SCHEMA,
    VERSION,
    CacheError,
    Field,
    busy,
    check_fields,
    drift_parts,
    part_path,
    reason,
    score_field,
)
from dlscore.grid import Grid

Array = NDArray[Any]


class CacheWriter:
    """Writes one episode: `create` or `reopen`, then `write` blocks of steps, then `finish`.

    A kill at any moment loses at most the block in hand: each block is flushed, and its `done` marks go last.
    """

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._file, self.path = file, path
        self.steps = len(file["done"])
        palette = file["frames/palette"]
        self._palette = {tuple(int(v) for v in palette[k]): k for k in range(int(palette.attrs["colours"]))}

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        time: Array,
        grid: Grid,
        samples: int,
        horizon: int,
        drift: Sequence[str],
        scores: Mapping[str, Mapping[str, Any]],
        attrs: Mapping[str, Any],
    ) -> Self:
        """Start `path` anew: `scores` gives each method's attributes, `attrs` those of the file (JSON-able)."""
        sizes = {"step": len(time), "x": grid.resolution, "y": grid.resolution, "sample": samples, "horizon": horizon,
                 "drift_part": len(drift)}  # fmt: skip
        with _draft(path) as draft, h5py.File(draft, "w") as file:
            _lay_out(file, sizes | FIXED, attrs)
            file["drift"].attrs["parts"] = json.dumps(list(drift))
            file["time"][:], file["x"][:], file["y"][:] = time, grid.centres, grid.centres
            for method, score_attrs in scores.items():
                _create_score(file, method, sizes, score_attrs)
        return cls.reopen(path)

    @classmethod
    def extend(cls, path: Path, scores: Mapping[str, Mapping[str, Any]]) -> Self:
        """Start an unfinished copy of the finished `path` with room for more methods; `path` stays until `finish`."""
        with _draft(path) as draft:
            shutil.copyfile(path, draft)
            with h5py.File(draft, "r+") as file:
                sizes = {"step": len(file["done"]), "x": len(file["x"]), "y": len(file["y"])}
                for method, score_attrs in scores.items():
                    _create_score(file, method, sizes, score_attrs)
                file.attrs["schema_version"] = VERSION
                file["done"][:] = 0
                _set_attrs(file, {"extending": list(scores)})
        return cls.reopen(path)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Go on with the unfinished file of `path`."""
        part = part_path(path)
        try:
            return cls(h5py.File(part, "r+"), path)
        except BlockingIOError as error:
            raise busy(part) from error
        except (OSError, KeyError) as error:
            raise CacheError(f"{part} cannot be continued ({reason(error)}); start it over with --force") from error

    @property
    def extending(self) -> list[str]:
        """The methods that are being added to a finished file; empty for a file that is made anew."""
        added: list[str] = json.loads(self._file.attrs.get("extending", "[]"))
        return added

    @property
    def drift_parts(self) -> tuple[str, ...]:
        """Names of the columns of `drift` in this file, which may be of an earlier schema."""
        return drift_parts(self._file)

    @property
    def done(self) -> Array:
        """(T,) bool, which steps are whole."""
        return np.asarray(self._file["done"][:], dtype=bool)

    def read(self, name: str, steps: slice) -> Array:
        """Rows of a dataset as they are stored."""
        return np.asarray(self._file[name][steps])

    @property
    def spent(self) -> dict[str, float]:
        """Seconds and network evaluations of the blocks that are in the file, by whichever run."""
        return {name: float(self._file.attrs.get(name, 0)) for name in ("wall_time_s", "network_evaluations")}

    def write(self, steps: slice, arrays: Mapping[str, Array], attrs: Mapping[str, Any] | None = None) -> None:
        """Store whole steps: each array (len(steps), …); `frames` (…, 512, 512, 3) uint8 RGB goes to the palette."""
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise CacheError(
                    f"{name} of steps {steps.start} to {steps.stop - 1} holds values that are not finite; nothing of these "
                    "steps was written: check the policy's weights and statistics"
                )
        try:
            for name, values in arrays.items():
                if name == "frames":
                    self._file["frames/index"][steps] = np.stack([self._index_frame(frame) for frame in values])
                else:
                    self._file[name][steps] = values
            _set_attrs(self._file, attrs or {})
            self._file.flush()
            self._file["done"][steps] = 1
            self._file.flush()
        except OSError as error:
            raise CacheError(f"cannot write {part_path(self.path)} ({reason(error)})") from error

    def finish(self, attrs: Mapping[str, Any] | None = None) -> None:
        """Set the last attributes, close, fsync and give the file its own name. Every step must be done."""
        if not self.done.all():
            raise CacheError(f"{self.path}: {int((~self.done).sum())} steps are missing; it stays partial")
        part = part_path(self.path)
        try:
            _set_attrs(self._file, attrs or {})
            self._file.attrs.pop("extending", None)
            self._file.close()
            with open(part, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(part, self.path)
        except OSError as error:
            raise CacheError(f"cannot finish {self.path} ({reason(error)}); {part} keeps what is done") from error

    def close(self) -> None:
        """Close without finishing: what is done stays in the part file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except (OSError, RuntimeError):  # a full disk fails again here; the first error says more
            if error is None:
                raise

    def _index_frame(self, frame: Array) -> Array:
        packed = frame.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
        colours, index = np.unique(packed, return_inverse=True)
        lookup = []
        for value in colours:
            colour = (int(value) >> 16, int(value) >> 8 & 255, int(value) & 255)
            if colour not in self._palette:
                if len(self._palette) == FIXED["colour"]:
                    raise CacheError("the frames of this episode have more than 256 colours; the cache keeps 256")
                self._palette[colour] = len(self._palette)
                self._file["frames/palette"][self._palette[colour]] = colour
                self._file["frames/palette"].attrs["colours"] = len(self._palette)
            lookup.append(self._palette[colour])
        return np.array(lookup, dtype=np.uint8)[index].reshape(frame.shape[:2])


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    # A part file gets its name when it is readable; before that a kill leaves only the draft.
    draft = path.with_name(path.name + ".draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        os.replace(draft, part_path(path))
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise CacheError(f"cannot write {draft} ({reason(error)}); choose another --output-dir") from error


def _lay_out(file: h5py.File, sizes: Mapping[str, int], attrs: Mapping[str, Any]) -> None:
    file.attrs["Conventions"] = "CF-1.10"
    file.attrs["schema"], file.attrs["schema_version"] = SCHEMA, VERSION
    _set_attrs(file, attrs)
    for dimension, size in sizes.items():
        if dimension not in COORDINATES and dimension not in COORDINATES.values():
            scale = file.create_dataset(dimension, (size,), dtype="f4", track_times=False)
            scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{size:10d}")
    for coordinate in COORDINATES:
        _create(file, BY_NAME[coordinate], sizes).make_scale(coordinate)
    for field in FIELDS:
        if field.name not in COORDINATES:
            _create(file, field, sizes)
    file["frames/palette"].attrs["colours"] = 0


def _create(file: h5py.File, field: Field, sizes: Mapping[str, int]) -> h5py.Dataset:
    shape = tuple(sizes[name] for name in field.shape)
    options: dict[str, Any] = {"track_times": False}
    if field.gzip is not None:
        options |= {"chunks": (1, *shape[1:]), "shuffle": True, "compression": "gzip", "compression_opts": field.gzip}
    dataset = file.create_dataset(field.name, shape, dtype=field.dtype, **options)
    dataset.attrs["units"], dataset.attrs["long_name"] = field.units, field.long_name
    coordinates = {dimension: name for name, dimension in COORDINATES.items()}
    for k, dimension in enumerate(field.shape):
        if field.name not in COORDINATES:
            dataset.dims[k].attach_scale(file[coordinates.get(dimension, dimension)])
    return dataset


def _create_score(file: h5py.File, method: str, sizes: Mapping[str, int], attrs: Mapping[str, Any]) -> None:
    _set_attrs(_create(file, score_field(method), sizes), attrs)
    for check in attrs.get("checks", ()):
        _create(file, check_fields(method)[check], sizes)


def _set_attrs(target: h5py.HLObject, attrs: Mapping[str, Any]) -> None:
    for key, value in attrs.items():
        target.attrs[key] = value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)
