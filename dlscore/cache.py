"""The cache contract: one HDF5 file an episode, written by dlscore, read by dlrender. numpy and h5py only.

`FIELDS` is the schema: a new cached array is one row in it. `CacheWriter` makes the file under the name `*.h5.part`
and renames it when it is whole, so a finished name is a finished file. `read_episode` checks before it trusts.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from dlscore.errors import UserError
from dlscore.grid import ACTION_SPAN, RESOLUTIONS, Grid

Array = NDArray[Any]

SCHEMA, VERSION = "dlscore-cache", "1.0"
CANVAS = 512  # px, side of a frame
MAX_STEPS = 1_000_000  # more than this in a file's header is damage, not an episode


class CacheError(UserError):
    """A cache that cannot be written, or one that is damaged, foreign, partial or of an unknown schema."""


class BusyError(CacheError):
    """A cache that another run is writing."""


@dataclass(frozen=True)
class Field:
    """One dataset of the file. `shape` names dimensions (steps, cells, …) or gives lengths; `gzip` a level."""

    name: str
    shape: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    gzip: int | None = None


# Lengths of the dimensions that every file shares; the others (step, x, y, sample, horizon) are the episode's own.
FIXED = {"xy": 2, "pose": 5, "drift_part": 3, "row": CANVAS, "column": CANVAS, "colour": 256, "rgb": 3}
COORDINATES = {"time": "step", "x": "x", "y": "y"}  # dimension scales that carry values

FIELDS = (
    Field("time", ("step",), "f8", "s", "time since the start of the episode"),
    Field("x", ("x",), "f8", "px", "cell centres along x"),
    Field("y", ("y",), "f8", "px", "cell centres along y, which points down"),
    Field("predicted_action", ("step", "xy"), "f4", "px", "the policy's prediction of the current action (x, y)"),
    Field("predicted_chunks", ("step", "sample", "horizon", "xy"), "f4", "px", "action chunks drawn from the policy"),
    Field("expert_action", ("step", "xy"), "f4", "px", "the expert's action (x, y)"),
    Field("state", ("step", "pose"), "f8", "px, px, px, px, rad", "agent x, y, block x, y, angle as replayed"),
    Field("drift", ("step", "drift_part"), "f4", "px, px, rad", "replay minus record: agent, block, block angle"),
    Field("frames/index", ("step", "row", "column"), "u1", "1", "environment frame as indices into the palette", 4),
    Field("frames/palette", ("colour", "rgb"), "u1", "1", "colours of the frames"),
    Field("done", ("step",), "u1", "1", "1 where a step is whole"),
)
SCORE = Field("scores/{method}", ("step", "y", "x"), "f4", "1", "score of each action, higher = preferred", 1)
BY_NAME = {field.name: field for field in FIELDS}


def part_path(path: Path) -> Path:
    """Where an unfinished `path` is kept."""
    return path.with_name(path.name + ".part")


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
        scores: Mapping[str, Mapping[str, Any]],
        attrs: Mapping[str, Any],
    ) -> Self:
        """Start `path` anew: `scores` gives each method's attributes, `attrs` those of the file (JSON-able)."""
        sizes = {"step": len(time), "x": grid.resolution, "y": grid.resolution, "sample": samples, "horizon": horizon}
        with _draft(path) as draft, h5py.File(draft, "w") as file:
            _lay_out(file, sizes | FIXED, attrs)
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
            raise _busy(part) from error
        except (OSError, KeyError) as error:
            raise CacheError(f"{part} cannot be continued ({_reason(error)}); start it over with --force") from error

    @property
    def extending(self) -> list[str]:
        """The methods that are being added to a finished file; empty for a file that is made anew."""
        added: list[str] = json.loads(self._file.attrs.get("extending", "[]"))
        return added

    @property
    def done(self) -> Array:
        """(T,) bool, which steps are whole."""
        return np.asarray(self._file["done"][:], dtype=bool)

    def read(self, name: str, steps: slice) -> Array:
        """Rows of a dataset as they are stored."""
        return np.asarray(self._file[name][steps])

    def write(self, steps: slice, arrays: Mapping[str, Array]) -> None:
        """Store whole steps: each array (len(steps), …); `frames` (…, 512, 512, 3) uint8 RGB goes to the palette."""
        try:
            for name, values in arrays.items():
                if name == "frames":
                    self._file["frames/index"][steps] = np.stack([self._index_frame(frame) for frame in values])
                    continue
                if not np.isfinite(values).all():
                    raise CacheError(
                        f"{name} of steps {steps.start} to {steps.stop - 1} holds values that are not finite; nothing "
                        "of these steps was written: check the policy's weights and statistics"
                    )
                self._file[name][steps] = values
            self._file.flush()
            self._file["done"][steps] = 1
            self._file.flush()
        except OSError as error:
            raise CacheError(f"cannot write {part_path(self.path)} ({_reason(error)})") from error

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
            raise CacheError(f"cannot finish {self.path} ({_reason(error)}); {part} keeps what is done") from error

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


class EpisodeCache:
    """One episode read back. Small arrays are in memory; `score(method, k)` and `frame(k)` read a step at a time."""

    def __init__(self, file: h5py.File, path: Path, sizes: Mapping[str, int]) -> None:
        self.path, self._file = path, file
        self.attrs: dict[str, Any] = {key: _json_or_text(value) for key, value in file.attrs.items()}
        self.grid = Grid(sizes["x"])
        self.methods: tuple[str, ...] = tuple(sorted(file["scores"]))
        self.steps = sizes["step"]
        self.done = np.asarray(file["done"][:], dtype=bool)
        self.time = self._small("time")
        self.expert_action = self._small("expert_action")
        self.predicted_action = self._small("predicted_action")
        self.predicted_chunks = self._small("predicted_chunks")
        self.state = self._small("state")
        self.drift = self._small("drift")
        self._palette = np.asarray(file["frames/palette"][:])

    @property
    def episode(self) -> int:
        """Index of the episode in its data set."""
        return int(self.attrs["episode"])

    def score_attrs(self, method: str) -> dict[str, Any]:
        """Units, definition, parameters, network evaluations a step of a method."""
        return {key: _json_or_text(value) for key, value in self._score(method).attrs.items() if key.islower()}

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
        return self._palette[_read(self._file["frames/index"], step)]

    def _score(self, method: str) -> h5py.Dataset:
        if method not in self.methods:
            raise CacheError(f"{self.path} has no scores of method '{method}'; it has {', '.join(self.methods)}")
        return self._file[f"scores/{method}"]

    def _small(self, name: str) -> Array:
        values = _read(self._file[name], slice(None))
        if not np.isfinite(values[self.done] if name not in COORDINATES else values).all():
            raise CacheError(f"{self.path}: '{name}' holds values that are not finite; compute the episode again")
        return values


@contextmanager
def read_episode(path: str | Path, *, partial: bool = False) -> Iterator[EpisodeCache]:
    """Open a cache for reading, after checking its schema and the name, type and shape of every dataset.

    Raises CacheError for a file that is absent, foreign, damaged, of another major schema, or (unless `partial`)
    unfinished. Datasets and attributes that the schema does not know are ignored.
    """
    path = Path(path)
    if not path.is_file():
        hint = f"; {part_path(path)} is unfinished: run dlscore compute again" if part_path(path).is_file() else ""
        raise CacheError(f"{path} is not a file{hint or '; give the cache of an episode, such as episode_000.h5'}")
    try:
        file = h5py.File(path, "r")
    except BlockingIOError as error:
        raise _busy(path) from error
    except OSError as error:
        raise CacheError(
            f"{path} is no readable HDF5 file ({_reason(error)}); it is truncated or foreign: compute it again"
        ) from error
    with file:
        try:
            episode = EpisodeCache(file, path, _check(file, path))
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CacheError(f"{path} is damaged ({_reason(error)}); compute it again") from error
        if not partial and not episode.done.all():
            raise CacheError(
                f"{path} is unfinished: {int(episode.done.sum())} of {episode.steps} steps; run dlscore compute again"
            )
        yield episode


def _check(file: h5py.File, path: Path) -> dict[str, int]:
    schema, version = file.attrs.get("schema"), str(file.attrs.get("schema_version", ""))
    if schema != SCHEMA:
        raise CacheError(
            f"{path} is an HDF5 file, but no dlscore cache (schema {schema!r}); give one that dlscore wrote"
        )
    if version.split(".")[0] != VERSION.split(".")[0]:
        raise CacheError(
            f"{path} has schema {version}; this dlrender reads {VERSION.split('.')[0]}.x: install its match"
        )
    sizes = dict(FIXED)
    if not isinstance(file.get("scores"), h5py.Group):
        raise CacheError(f"{path} is damaged (no group 'scores'); compute it again")
    scores = [Field(f"scores/{name}", *_rest(SCORE)) for name in file["scores"]]
    for field in (*FIELDS, *scores):
        dataset = file.get(field.name)
        if not isinstance(dataset, h5py.Dataset):
            raise CacheError(f"{path} is damaged (no dataset '{field.name}'); compute it again")
        if dataset.dtype != np.dtype(field.dtype) or len(dataset.shape) != len(field.shape):
            raise CacheError(
                f"{path} is damaged ('{field.name}' is {dataset.dtype} {dataset.shape}, not {field.dtype} "
                f"({', '.join(field.shape)})); compute it again"
            )
        for dimension, size in zip(field.shape, dataset.shape, strict=True):
            if sizes.setdefault(dimension, size) != size or size < 1:
                raise CacheError(
                    f"{path} is damaged ('{field.name}' has {size} along {dimension}, not {sizes[dimension]}); "
                    "compute it again"
                )
    n = sizes["x"]
    if sizes["y"] != n or not RESOLUTIONS[0] <= n <= RESOLUTIONS[1] or sizes["step"] > MAX_STEPS:
        raise CacheError(f"{path} is damaged ({sizes['step']} steps of {sizes['y']} × {n} cells); compute it again")
    for axis in ("x", "y"):
        if not np.allclose(file[axis][:], Grid(n).centres, atol=1e-6 * ACTION_SPAN):
            raise CacheError(
                f"{path}: its '{axis}' is not the grid of {n} cells over {ACTION_SPAN:g} px; compute it again"
            )
    return sizes


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
        raise CacheError(f"cannot write {draft} ({_reason(error)}); choose another --output-dir") from error


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


def _busy(path: Path) -> BusyError:
    return BusyError(f"{path} is being written by another run; wait for it, or choose another --output-dir")


def _rest(field: Field) -> tuple[Any, ...]:
    return field.shape, field.dtype, field.units, field.long_name, field.gzip


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
    _set_attrs(_create(file, Field(SCORE.name.format(method=method), *_rest(SCORE)), sizes), attrs)


def _set_attrs(target: h5py.HLObject, attrs: Mapping[str, Any]) -> None:
    for key, value in attrs.items():
        target.attrs[key] = value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)


def _json_or_text(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value.item() if isinstance(value, np.generic) else value


def _read(dataset: h5py.Dataset, rows: int | slice) -> Array:
    try:
        return np.asarray(dataset[rows])
    except (OSError, RuntimeError) as error:
        raise CacheError(
            f"{dataset.file.filename} is damaged at '{dataset.name}' ({_reason(error)}); compute it again"
        ) from error


def _reason(error: BaseException) -> str:
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return " ".join(text.split()) or type(error).__name__


__all__: Sequence[str] = (
    "FIELDS",
    "BusyError",
    "CacheError",
    "CacheWriter",
    "EpisodeCache",
    "Field",
    "part_path",
    "read_episode",
)
