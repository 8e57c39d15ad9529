"""The cached fields: each function computes one of them for a block of steps.

A row of `cache.schema.FIELDS` names its function in `made_by`, here or in a module of its own. It takes a StepBlock and
returns an array (S, …) of the row's shape.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from dlscore.cache.schema import FIELDS
from dlscore.common.arrays import Array
from dlscore.compute.run import Run
from dlscore.episodes.episode import Episode
from dlscore.episodes.replay import ReplayStep

__all__ = ["StepBlock", "compute_fields"]


@dataclass(frozen=True)
class StepBlock:
    """S steps in a row, replayed and predicted.

    rows: which steps of the episode, with a stride where not every one is scored. replayed: the world at each. chunks:
    (S, M, H, 2) float32 px, drawn from the policy.
    drift_parts: the columns of the file's `drift`.
    """

    run: Run
    episode: Episode
    rows: slice
    replayed: Sequence[ReplayStep]
    chunks: Array
    drift_parts: Sequence[str]


def compute_fields(block: StepBlock) -> dict[str, Array]:
    """Every field of the schema that is computed from a block of steps, by name."""
    made = [field for field in FIELDS if field.made_by and (not field.optional or field.name in block.episode.outcome)]
    return {field.name: _function(field.made_by)(block) for field in made}


@cache
def _function(made_by: str) -> Callable[[StepBlock], Array]:
    module, _, name = made_by.partition(":")
    found: Callable[[StepBlock], Array] = getattr(importlib.import_module(module), name)
    return found


def predicted_chunks(block: StepBlock) -> Array:
    """(S, M, H, 2) px, as drawn."""
    return block.chunks


def predicted_action(block: StepBlock) -> Array:
    """(S, 2) px: the current action of the first chunk."""
    return block.chunks[:, 0, block.run.policy.current]


def expert_action(block: StepBlock) -> Array:
    """(S, 2) px, as recorded."""
    return block.episode.action[block.rows]


def state(block: StepBlock) -> Array:
    """(S, 5) agent x, y, block x, y [px], block angle [rad], as replayed."""
    return np.stack([step.state for step in block.replayed])


def drift(block: StepBlock) -> Array:
    """(S, parts) difference between replay and record."""
    return np.array([[step.drift[part] for part in block.drift_parts] for step in block.replayed])


def frames(block: StepBlock) -> Array:
    """(S, 512, 512, 3) uint8 RGB; the writer stores indices into a palette."""
    return np.stack([step.frame for step in block.replayed])


def reward(block: StepBlock) -> Array:
    """(S,) after each recorded action, by the data set."""
    return block.episode.outcome["reward"][block.rows]


def success(block: StepBlock) -> Array:
    """(S,) 1 where the recorded action reached the goal."""
    return block.episode.outcome["success"][block.rows].astype(np.uint8)


def executed_chunk(block: StepBlock) -> Array:
    """(S,) which chunk of the policy that acted the action is from."""
    return block.episode.outcome["executed/chunk"][block.rows].astype(np.int32)


def executed_entry(block: StepBlock) -> Array:
    """(S,) which action of that chunk it is."""
    return block.episode.outcome["executed/entry"][block.rows].astype(np.int32)
