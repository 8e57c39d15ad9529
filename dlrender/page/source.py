"""What a page holds of one method of one cache: rounded scores, ends of colours, regions, and the step table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlrender.answers.columns import BY_NAME, COLUMNS
from dlrender.answers.steps import Episode
from dlrender.answers.table import KINDS, step_table
from dlrender.colors import resolved_nats, step_ends
from dlrender.page.pack import Packer, pack, quantum_of
from dlscore.cache import EpisodeCache, density_name
from dlscore.common.arrays import Array
from dlscore.density.calibration import LEVELS
from dlscore.density.level_sets import grid_thresholds

BLOCK = 64  # steps that are read at a time
TOP = 0.1  # of the cells: the region of a score that is no density
# Columns that ask no density, for methods and caches without one.
PLAIN = ("step", "time", "x", "y", "reward", "success", "action_age", "prediction_distance", "drift_agent", "drift_block",
         "drift_angle")  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """The ends of the colours at each step, (T,) each, as `--norm frame` has them, and the nats below its peak that are whole.

    The ends of an episode, and of several, are the least `low` and the largest `high`, since all steps have one depth.
    """

    low: Array
    high: Array
    least: float
    largest: float
    depth: float | None

    @property
    def ends(self) -> tuple[float, float]:
        """Of the episode."""
        return float(self.low.min()), float(self.high.max())


def read_scale(cache: EpisodeCache, method: str) -> Scale:
    """The scale of a method's scores over a cache."""
    nats = str(cache.score_attrs(method)["units"]).startswith("nats")
    depth = resolved_nats(cache, method) if nats else np.inf
    ends, largest = [], -np.inf
    for first, block in _blocks(cache, method):
        largest = max(largest, float(block.max()))
        ends += [step_ends(cache, method, first + k, depth, scores) for k, scores in enumerate(block)]
    least, low, high = np.array(ends).T
    return Scale(low, high, float(least.min()), largest, depth if cache.is_density(method) else None)


def read_source(cache: EpisodeCache, method: str) -> dict[str, Any]:
    """A method as the page takes it; arrays are packed."""
    table = read_table(cache, method)  # first: it reads mixtures together, which is faster, and they are kept
    scale, attrs = read_scale(cache, method), cache.score_attrs(method)
    density, units = cache.is_density(method), str(attrs["units"])
    ends = np.stack([scale.low, scale.high], axis=-1)
    scores, found = Packer(quantum_of(units, scale.least, scale.largest), (-2, -1)), []
    for _, block in _blocks(cache, method):
        scores.add(block)
        found.append(thresholds(block, density))
    return {
        "method": method,
        "quantity": f"log density of the {density_name(cache, method)}" if density else method.replace("_", " "),
        "units": units.replace("px^2", "px²"),
        "density": density,
        "cells": cache.grid.resolution,
        "scores": scores.finish(),
        "ends": {"frame": pack(ends, None), "episode": list(scale.ends)},
        "depth": scale.depth,
        "levels": [f"{100 * level:g} %" for level in LEVELS] if density else [f"best {100 * TOP:g} % of the cells"],
        "thresholds": pack(np.concatenate(found), None),
        "table": table,
    }


def thresholds(block: Array, density: bool) -> Array:
    """(B, L) scores of steps (B, N, N) from which a cell is in a region: of a density, what holds LEVELS of the whole mass."""
    if density:
        return np.stack([grid_thresholds(scores, LEVELS) for scores in block])
    found: Array = np.quantile(block.reshape(len(block), -1), 1 - TOP, axis=1)[:, None]
    return found


def read_table(cache: EpisodeCache, method: str) -> dict[str, Any]:
    """The step table: texts that are the same at all steps, and its columns of numbers (C, T), nan where there is none."""
    if cache.is_density(method) and cache.has_mixture(method):
        table = step_table(cache, method=method)
    else:  # what needs no density
        steps = list(Episode(cache, method).steps())
        table = {
            name: np.array([BY_NAME[name].value(step) for step in steps], dtype=KINDS[BY_NAME[name].kind])
            for name in PLAIN
        }
    numbers = [name for name in table if table[name].dtype.kind in "fi"]
    texts = {name: str(values[0]) for name, values in table.items() if name not in numbers and len(values)}
    values = np.stack([table[name].astype(np.float32) for name in numbers])
    return {"texts": texts, "names": numbers, "values": pack(values, None)}


def column_notes() -> dict[str, list[str]]:
    """Units and meaning of each statistic, by name."""
    return {column.name: [column.units, column.meaning] for column in COLUMNS}


def _blocks(cache: EpisodeCache, method: str) -> Iterator[tuple[int, Array]]:
    # First step and scores (B, N, N) of BLOCK steps at a time.
    for first in range(0, cache.steps, BLOCK):
        yield first, np.stack([cache.score(method, step) for step in range(first, min(first + BLOCK, cache.steps))])
