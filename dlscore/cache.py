"""The cache contract: one HDF5 file an episode, written by dlscore, read by dlrender. numpy and h5py only.

`FIELDS` is the schema: a new cached array is one row in it. `cache_writer` makes the file under the name `*.h5.part`
and renames it when it is whole, so a finished name is a finished file. `read_episode` checks before it trusts. No HDF5
lock is taken: files are replaced, never changed, and one run writes at a time (`lock`).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dlscore import seal
from dlscore.errors import UserError
from dlscore.grid import ACTION_SPAN, RESOLUTIONS, Grid

Array = NDArray[Any]

SCHEMA, VERSION = "dlscore-cache", "1.3"
CANVAS = 512  # px, side of a frame
MAX_STEPS = 1_000_000  # more than this in a file's header is damage, not an episode
MAX_BYTES = 1 << 28  # the same for what is read at once
FAR = 1e6  # px; and for a position


class CacheError(UserError):
    """A cache that cannot be written, or one that is damaged, foreign, partial or of an unknown schema."""


class BusyError(CacheError):
    """A cache that another run is writing."""


class FolderError(CacheError):
    """The folder of a cache is full, read-only or gone: the other episodes would fail there too."""


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
FIXED = {"xy": 2, "pose": 5, "row": CANVAS, "column": CANVAS, "colour": 256, "rgb": 3}
COORDINATES = {"time": "step", "x": "x", "y": "y"}  # dimension scales that carry values

FIELDS = (
    Field("time", ("step",), "f8", "s", "time since the start of the episode"),
    Field("x", ("x",), "f8", "px", "cell centres along x"),
    Field("y", ("y",), "f8", "px", "cell centres along y, which points down"),
    Field("predicted_action", ("step", "xy"), "f4", "px", "the policy's prediction of the current action (x, y)"),
    Field("predicted_chunks", ("step", "sample", "horizon", "xy"), "f4", "px", "action chunks drawn from the policy"),
    Field("expert_action", ("step", "xy"), "f4", "px", "the expert's action (x, y)"),
    Field("state", ("step", "pose"), "f8", "px, px, px, px, rad", "agent x, y, block x, y, angle as replayed"),
    Field(
        "drift", ("step", "drift_part"), "f4", "see the attribute parts", "replay against record, absolute difference"
    ),
    Field("frames/index", ("step", "row", "column"), "u1", "1", "environment frame as indices into the palette", 4),
    Field("frames/palette", ("colour", "rgb"), "u1", "1", "colours of the frames"),
    Field("done", ("step",), "u1", "1", "1 where a step is whole"),
)
SCORE = Field("scores/{method}", ("step", "y", "x"), "f4", "1", "score of each action, higher = preferred", 1)
# What a method says of its own error at each step; a method may have none, and files of schema 1.0 have none.
CHECKS = (
    Field(
        "checks/{method}/sampling_error", ("step",), "f4", "1", "standard error of the density, as a total variation"
    ),
    Field("checks/{method}/level_difference", ("step",), "f4", "1", "total variation between the two noise levels"),
)
# What readers rely on, and of which type; the file has more, which are ignored or shown as they are.
SCORE_ATTRS = {"kind": str, "units": str, "definition": str, "parameters": dict, "evaluations_per_step": int}
ROOT_ATTRS = {"episode": int, "fps": float}
MORE_ATTRS = {
    **dict.fromkeys(("policy", "policy_revision", "dataset", "dataset_revision", "pose_source", "pose_note", "replay",
                     "observations", "device", "created_at", "git_revision", "drift_warning", "key"), str),
    **dict.fromkeys(("seed", "batch_size", "network_evaluations"), int),
    **dict.fromkeys(("identity", "versions"), dict), "extending": list, "wall_time_s": float,
}  # fmt: skip
LEVEL_LIMIT = 0.05  # a level difference above this is told: modes there are narrower than the coarse noise level
# What `drift` may compare, and in what; a file names those that its record had. Files of schema 1.0 and 1.1 have three.
DRIFT_UNITS = {"agent_px": "px", "block_px": "px", "block_rad": "rad", "picture": "1/255"}
BY_NAME = {field.name: field for field in FIELDS}


def score_field(method: str) -> Field:
    """The field of a method's scores."""
    return replace(SCORE, name=SCORE.name.format(method=method))


def check_fields(method: str) -> dict[str, Field]:
    """The fields of a method's checks, by the last part of their name."""
    named = {field.name.split("/")[-1]: field for field in CHECKS}
    return {check: replace(field, name=field.name.format(method=method)) for check, field in named.items()}


def drift_parts(file: h5py.File) -> tuple[str, ...]:
    """Names of the columns of `drift`."""
    parts = _json_or_text(file["drift"].attrs.get("parts", json.dumps(list(DRIFT_UNITS)[:3])))
    return tuple(parts)


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


def part_path(path: Path) -> Path:
    """Where an unfinished `path` is kept."""
    return path.with_name(path.name + ".part")


class EpisodeCache:
    """One episode read back. Small arrays are in memory; `score(method, k)` and `frame(k)` read a step at a time."""

    def __init__(self, file: h5py.File, path: Path, sizes: Mapping[str, int]) -> None:
        self.path, self._file = path, file
        self.attrs: dict[str, Any] = {key: _json_or_text(value) for key, value in file.attrs.items()}
        self.grid = Grid(sizes["x"])
        self.methods: tuple[str, ...] = tuple(sorted(file["scores"]))
        self._score_attrs = {
            method: {
                key: _json_or_text(value) for key, value in file[f"scores/{method}"].attrs.items() if key.islower()
            }
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
        return {check: self._small(field.name) for check, field in _required_checks(self._file, method).items()}

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
    unfinished. Datasets and attributes that the schema does not know are ignored.
    """
    path = Path(path)
    if not path.is_file():
        hint = f"; {part_path(path)} is unfinished: run dlscore compute again" if part_path(path).is_file() else ""
        raise CacheError(f"{path} is not a file{hint or '; give the cache of an episode, such as episode_000.h5'}")
    try:
        if seal.state(path) == "damaged":
            raise CacheError(f"{path} is damaged (its bytes are not those that were sealed); compute it again")
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError) as error:
        raise CacheError(
            f"{path} is no readable HDF5 file ({reason(error)}); it is truncated or foreign: compute it again"
        ) from error
    with file:
        try:
            episode = EpisodeCache(file, path, _check(file, path))
        except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise CacheError(f"{path} is damaged ({reason(error)}); compute it again") from error
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
    scores = [score_field(name) for name in file["scores"]]
    _check_attrs(file, path, ROOT_ATTRS, MORE_ATTRS)
    for dataset in file["scores"].values():
        _check_attrs(dataset, path, SCORE_ATTRS)
    checks = [field for name in file["scores"] for field in _required_checks(file, name).values()]
    for field in (*FIELDS, *scores, *checks):
        dataset = file.get(field.name)
        if not isinstance(dataset, h5py.Dataset):
            raise CacheError(f"{path} is damaged (no dataset '{field.name}'); compute it again")
        if dataset.dtype != np.dtype(field.dtype) or len(dataset.shape) != len(field.shape):
            raise CacheError(
                f"{path} is damaged ('{field.name}' is {dataset.dtype} {dataset.shape}, not {field.dtype} "
                f"({', '.join(field.shape)})); compute it again"
            )
        # A chunk is unpacked as a whole, and everything but scores and frames is read at once.
        together = dataset.shape if field.gzip is None else dataset.chunks or ()
        if math.prod(together) * dataset.dtype.itemsize > MAX_BYTES or dataset.is_virtual or dataset.external:
            raise CacheError(f"{path} is damaged ('{field.name}' is stored as no cache stores it); compute it again")
        for dimension, size in zip(field.shape, dataset.shape, strict=True):
            if sizes.setdefault(dimension, size) != size or size < 1:
                raise CacheError(
                    f"{path} is damaged ('{field.name}' has {size} along {dimension}, not {sizes[dimension]}); "
                    "compute it again"
                )
    n = sizes["x"]
    if sizes["y"] != n or not RESOLUTIONS[0] <= n <= RESOLUTIONS[1] or sizes["step"] > MAX_STEPS:
        raise CacheError(f"{path} is damaged ({sizes['step']} steps of {sizes['y']} × {n} cells); compute it again")
    parts = drift_parts(file)
    if len(parts) != sizes["drift_part"] or not set(parts) <= set(DRIFT_UNITS):
        raise CacheError(f"{path} is damaged (drift of {sizes['drift_part']} parts {parts}); compute it again")
    for axis in ("x", "y"):
        if not np.allclose(file[axis][:], Grid(n).centres, atol=1e-6 * ACTION_SPAN):
            raise CacheError(
                f"{path}: its '{axis}' is not the grid of {n} cells over {ACTION_SPAN:g} px; compute it again"
            )
    return sizes


def _required_checks(file: h5py.File, method: str) -> dict[str, Field]:
    # All where the scores' own attributes promise them, so that one which is gone is damage; else none.
    promised = _json_or_text(file[f"scores/{method}"].attrs.get("checks", "[]"))
    return check_fields(method) if promised else {}


def _check_attrs(
    item: h5py.HLObject, path: Path, needed: Mapping[str, type], more: Mapping[str, type] | None = None
) -> None:
    of = "" if item.name == "/" else f" of {item.name[1:]}"
    if lacking := [key for key in needed if key not in item.attrs]:
        raise CacheError(f"{path} lacks the attribute {', '.join(lacking)}{of}; compute it again")
    for key, kind in {**needed, **(more or {})}.items():
        value = _json_or_text(item.attrs.get(key)) if key in item.attrs else kind()
        if not isinstance(value, int | float if kind is float else kind):
            raise CacheError(f"{path} is damaged (the attribute {key}{of} is {str(value)[:60]!r}); compute it again")


def number_arrays(file: h5py.File) -> list[h5py.Dataset]:
    """Every array of numbers in the file, whether the schema knows it or not."""
    found: list[h5py.Dataset] = []

    def visit(_: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf" and item.shape:
            found.append(item)

    file.visititems(visit)
    return found


def checksum(array: h5py.Dataset) -> str:
    """SHA-256 of an array's name, type, shape and values, about 1 MB of which are read at once."""
    digest = hashlib.sha256(f"{array.name} {array.dtype.str} {array.shape}".encode())
    rows = max(1, (1 << 20) // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows]).tobytes())
    return digest.hexdigest()


def reason(error: BaseException) -> str:
    """An exception's own words in one line: the system's message where it has a number."""
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return " ".join(text.split()) or type(error).__name__


def _json_or_text(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float) else str(value)  # arrays and bytes are no attributes of ours


def _read(dataset: h5py.Dataset, rows: int | slice) -> Array:
    try:
        return np.asarray(dataset[rows])
    except (OSError, RuntimeError, ValueError) as error:
        raise CacheError(
            f"{dataset.file.filename} is damaged at '{dataset.name}' ({reason(error)}); compute it again"
        ) from error
