"""The cache contract as data: what a cache file of an episode holds, and what is damage. numpy only.

`FIELDS` is the schema: a new cached array is one row in it (README.md of this room says how).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.common.world import WORLD_SIZE

SCHEMA, VERSION = "dlscore-cache", "1.6"
MAX_STEPS = 1_000_000  # a header with more is damaged
MAX_BYTES = 1 << 28  # bytes read at once; more is damage
MAX_POSITION = 1e6  # px; a larger one is damage
FILE_BYTES, STEP_BYTES = 60e3, 4.5e3  # of a cache without scores and chunks; a step's frame packs to about 4 kB
PACKED = 0.95  # share of the scores' bytes that gzip leaves
COMPONENT_BYTES, ACTION_BYTES = 11, 3.5  # of a mixture's component, and of an action of a denoised chunk, packed


@dataclass(frozen=True)
class Field:
    """One dataset of the file.

    `shape` names its dimensions, `gzip` is a compression level. `made_by` is the function that computes it from a block of
    steps, as `module:function`; "" for what the writer or a scorer fills. `since` is the schema version that introduced it:
    files of an earlier version need not have it. An `optional` field is in the files whose attribute `outcome` names it: those
    whose data set records it.
    """

    name: str
    shape: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    gzip: int | None = None
    made_by: str = ""
    since: str = "1.0"
    optional: bool = False

    def is_required(self, version: str) -> bool:
        """Whether a file of this schema version must have the field."""
        return not self.optional and parse_version(version) >= parse_version(self.since)


# Lengths of the dimensions that every file shares; the others are the episode's own: step, x, y, sample (one for each
# chunk drawn from the policy), horizon, drift_part. METHOD_DIMENSIONS are a method's own, in the group of its arrays: a
# mixture's components, the entries xx, xy, yy of a covariance, denoised chunks, and distances below the peak.
FIXED_DIMENSIONS = {"xy": 2, "pose": 5, "row": WORLD_SIZE, "column": WORLD_SIZE, "colour": 256, "rgb": 3}
COORDINATES = {"time": "step", "x": "x", "y": "y"}  # dimension scales that carry values

FRAMES = "frames/index"  # computed as RGB, stored as indices into frames/palette
MADE = "dlscore.compute.fields"  # where most fields are computed; a new one may come from any module
SINCE_1_6: Any = {"since": "1.6", "optional": True}
FIELDS = (
    Field("time", ("step",), "f8", "s", "time since the start of the episode"),
    Field("x", ("x",), "f8", "px", "cell centres along x"),
    Field("y", ("y",), "f8", "px", "cell centres along y, which points down"),
    Field("predicted_action", ("step", "xy"), "f4", "px", "the policy's prediction of the current action (x, y)",
          made_by=f"{MADE}:predicted_action"),
    Field("predicted_chunks", ("step", "sample", "horizon", "xy"), "f4", "px", "action chunks drawn from the policy",
          made_by=f"{MADE}:predicted_chunks"),
    Field("expert_action", ("step", "xy"), "f4", "px", "the expert's action (x, y)", made_by=f"{MADE}:expert_action"),
    Field("state", ("step", "pose"), "f8", "px, px, px, px, rad", "agent x, y, block x, y, angle as replayed",
          made_by=f"{MADE}:state"),
    Field("drift", ("step", "drift_part"), "f4", "see the attribute parts", "replay against record, absolute difference",
          made_by=f"{MADE}:drift"),
    Field(FRAMES, ("step", "row", "column"), "u1", "1", "environment frame as indices into the palette", 4,
          made_by=f"{MADE}:frames"),
    Field("reward", ("step",), "f4", "1", "reward after the recorded action", made_by=f"{MADE}:reward", **SINCE_1_6),
    Field("success", ("step",), "u1", "1", "1 where the recorded action reached the goal", made_by=f"{MADE}:success",
          **SINCE_1_6),
    Field("executed/chunk", ("step",), "i4", "1", "which of the policy's chunks the executed action is from",
          made_by=f"{MADE}:executed_chunk", **SINCE_1_6),
    Field("executed/entry", ("step",), "i4", "1", "which action of that chunk it is; current_action_index is the newest",
          made_by=f"{MADE}:executed_entry", **SINCE_1_6),
    Field("frames/palette", ("colour", "rgb"), "u1", "1", "colours of the frames"),
    Field("done", ("step",), "u1", "1", "1 where a step is complete"),
)  # fmt: skip
SCORE = Field("scores/{method}", ("step", "y", "x"), "f4", "1", "score of each action, higher = preferred", 1)
# What is known of a method's density at each step, where its attribute `checks` names it. Methods may have none; files of
# schema 1.0 have none. The last two are of earlier versions, and of scorers of other packages.
CHECKS = (
    Field("checks/{method}/error", ("step",), "f4", "1", "estimated total variation between the density and the truth"),
    Field("checks/{method}/log_error", ("step", "distance"), "f4", "nats", "estimated error of the log density", 1),
    Field("checks/{method}/inside", ("step",), "f4", "1", "probability inside the grid"),
    Field("checks/{method}/own_rank", ("step", "sample"), "f4", "1",
          "rank of the drawn chunks' current action among highest-density regions, 0 at the peak"),
    Field("checks/{method}/recorded_log_density", ("step",), "f4", "nats / px^2", "log density at the recorded action"),
    Field("checks/{method}/recorded_rank", ("step",), "f4", "1",
          "rank of the recorded action among highest-density regions, 0 at the peak, ties at random"),
    Field("checks/{method}/recorded_rank_low", ("step",), "f4", "1", "the lowest rank that the recorded action may have"),
    Field("checks/{method}/recorded_rank_high", ("step",), "f4", "1", "the highest rank that the recorded action may have"),
    Field("checks/{method}/sampling_error", ("step",), "f4", "1",
          "standard error of the density, as a total variation"),
    Field("checks/{method}/level_difference", ("step",), "f4", "1", "total variation between the two noise levels"),
)  # fmt: skip
# Of CHECKS, those about the recorded action: they measure the action, not the density.
RECORDED = ("recorded_log_density", "recorded_rank", "recorded_rank_low", "recorded_rank_high")
# The density itself, where a method's attribute `components` says of how many Gaussians: dlscore.density.mixture.
MIXTURE = (
    Field("mixture/{method}/mean", ("step", "component", "xy"), "f4", "px", "means of the components", 1),
    Field("mixture/{method}/covariance", ("step", "component", "entry"), "f4", "px^2", "covariances: xx, xy, yy", 1),
    Field("mixture/{method}/weight", ("step", "component"), "f4", "1", "signed weights, of sum 1", 1),
    Field("mixture/{method}/base", ("step", "component"), "f4", "1", "weights of the coarse density, of sum 1", 1),
    Field("mixture/{method}/log_norm", ("step",), "f4", "1", "log of the factor by which the density integrates to 1"),
)
DENOISED = Field("mixture/{method}/denoised_chunks", ("step", "denoised", "horizon", "xy"), "f4", "px",
                 "chunks at the finest noise level", 1)  # fmt: skip
METHOD_DIMENSIONS = ("component", "entry", "denoised", "distance")
DISTANCE = Field("checks/{method}/distance", ("distance",), "f4", "nats", "distance below the peak: upper ends of bins")
# Attributes that readers rely on, with their types. Others are ignored or shown as they are.
SCORE_ATTRS = {"kind": str, "units": str, "definition": str, "parameters": dict, "evaluations_per_step": int}
DENSITY_ATTRS = {"density": str, "components": int, "denoised": int, "box": list, "distances": list, "checks": list}
ROOT_ATTRS = {"episode": int, "fps": float}
MORE_ATTRS = {
    **dict.fromkeys(("policy", "policy_revision", "dataset", "dataset_revision", "pose_source", "pose_note", "replay",
                     "observations", "device", "created_at", "git_revision", "drift_warning", "key", "executed_by"), str),
    **dict.fromkeys(("seed", "batch_size", "network_evaluations", "every", "episode_length"), int),
    **dict.fromkeys(("identity", "versions"), dict), "extending": list, "wall_time_s": float,
    "outcome": list, "episode_success": int, "episode_best_reward": float,
}  # fmt: skip
BY_NAME = {field.name: field for field in FIELDS}


def score_field(method: str) -> Field:
    """The field of a method's scores."""
    return replace(SCORE, name=SCORE.name.format(method=method))


def check_fields(method: str) -> dict[str, Field]:
    """The fields of a method's checks, by the last part of their name."""
    return {field.name.split("/")[-1]: field for field in _of(method, CHECKS)}


def density_fields(method: str, attrs: Mapping[str, Any]) -> list[Field]:
    """The fields that a method's attributes promise beside its scores: of its mixture, and the axis of its log error."""
    fields = [*MIXTURE, DENOISED] if attrs.get("denoised") else list(MIXTURE)
    axis = [DISTANCE] if "log_error" in list(attrs.get("checks", ())) else []
    return _of(method, [*axis, *(fields if attrs.get("components") else [])])


def _of(method: str, fields: Sequence[Field]) -> list[Field]:
    return [replace(field, name=field.name.format(method=method)) for field in fields]


def parse_version(version: str) -> tuple[int, ...]:
    """`1.10` as (1, 10), which compares as versions do; () for what is none."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def cache_bytes(
    steps: int, resolution: int, methods: int, chunks: int, horizon: int, components: int = 0, denoised: int = 0
) -> float:
    """Estimated size of a cache with so many drawn chunks per step, and in all methods so many components and denoised chunks."""
    scores, actions = 4 * PACKED * methods * resolution**2, 8 * chunks * horizon
    return FILE_BYTES + steps * (
        STEP_BYTES + scores + actions + COMPONENT_BYTES * components + ACTION_BYTES * denoised * horizon
    )


def part_path(path: Path) -> Path:
    """Where an unfinished `path` is kept."""
    return path.with_name(path.name + ".part")


def json_or_text(value: Any) -> Any:
    """An attribute's value: JSON where its text is a list or an object, numbers as Python's, else text."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    one = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.shape == (1,))  # as xarray writes
    value = value.item() if one else value
    return (
        value if isinstance(value, str | int | float) else str(value)
    )  # dlscore writes neither arrays nor bytes as attributes
