"""The cache contract as data: what a cache file of an episode holds, and how it may be wrong. numpy only.

`FIELDS` is the schema: a new cached array is one row in it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.errors import UserError

SCHEMA, VERSION = "dlscore-cache", "1.4"
CANVAS = 512  # px, side of a frame
MAX_STEPS = 1_000_000  # more than this in a file's header is damage, not an episode
MAX_BYTES = 1 << 28  # the same for what is read at once
FAR = 1e6  # px; and for a position


class CacheError(UserError):
    """A cache that cannot be written, or one that is damaged, foreign, partial or of an unknown schema."""


class ForeignError(CacheError):
    """An HDF5 file that is no cache, or one of a newer schema: somebody's own, which only --force replaces."""


class StaleError(CacheError):
    """A cache of other settings, or one that cannot be read."""


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


def part_path(path: Path) -> Path:
    """Where an unfinished `path` is kept."""
    return path.with_name(path.name + ".part")


def reason(error: BaseException) -> str:
    """An exception's own words in one line: the system's message where it has a number."""
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return " ".join(text.split()) or type(error).__name__


def json_or_text(value: Any) -> Any:
    """An attribute's value: JSON where its text is a list or an object, numbers as Python's, else text."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float) else str(value)  # arrays and bytes are no attributes of ours
