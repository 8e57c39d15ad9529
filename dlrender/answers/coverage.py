"""Coverage: does the policy propose actions where the record has them? Mean density over steps against recorded actions.

In the world's frame, or seen from the block. The null hypothesis is that every recorded action is drawn from the policy's own
density at its step; draws of these densities say how far apart the two then are by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.distinct import check_distinct
from dlrender.answers.samples import distances
from dlrender.answers.steps import Episode
from dlrender.answers.table import density_of
from dlrender.errors import RenderError
from dlscore.cache import open_cache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.common.world import WORLD_SIZE

FRAMES = {"world": (0.0, float(WORLD_SIZE)), "block": (-256.0, 256.0)}  # px: both axes from, to
CELLS, FINE = 10, 64  # a side: of the test, and of the map
DRAWS = 1000  # data sets of the null
FALSE = 0.05  # share of false cells among those that are told


@dataclass(frozen=True)
class Coverage:
    """Recorded actions (T, 2) and policy's mean density (FINE, FINE) [1/px²] in a frame, and cell by cell what differs.

    counts, expected, p, told: (CELLS, CELLS) [y, x] recorded actions, those that the policy's densities expect, their two-sided
    p, and whether a cell differs beyond chance. tv: total variation between recorded and expected shares over the cells; null:
    (DRAWS,) the same of data sets drawn from the policy's densities. new_mass: the share of the policy's mass farther than
    `distance` px from every recorded action.
    """

    frame: str
    episodes: int
    actions: Array
    density: Array
    counts: Array
    expected: Array
    p: Array
    told: Array
    tv: float
    null: Array
    distance: float
    new_mass: float

    @property
    def p_value(self) -> float:
        """Of the total variation, one-sided."""
        return float((1 + (self.null >= self.tv).sum()) / (1 + len(self.null)))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        low, high = np.quantile(self.null, [0.025, 0.975])
        return {
            "frame": self.frame, "episodes": self.episodes, "steps": len(self.actions), "tv": self.tv, "p": self.p_value,
            "null": {"mean": float(self.null.mean()), "low": float(low), "high": float(high)},
            "cells": int((self.expected > 0).sum()), "cells_beyond_chance": int(self.told.sum()),
            "distance": self.distance, "mass_beyond_distance": self.new_mass,
        }  # fmt: skip


def read_coverage(files: Sequence[Path], frame: str = "world", method: str | None = None) -> Coverage:
    """Coverage of the recorded actions of some caches in the frame of the world or of the block."""
    check_choice("--frame", frame, FRAMES, RenderError)
    check_distinct(files, "coverage")
    points, weights, actions, strides = [], [], [], []
    for file in files:
        with open_cache(file) as cache:
            strides.append(cache.every)
            if cache.every != strides[0]:
                raise RenderError(
                    f"{files[0]} has 1 in {strides[0]} steps and {file} 1 in {cache.every}; coverage counts steps: name "
                    "caches of one stride"
                )
            for step in Episode(cache, density_of(cache, method)).steps():
                found = step.points
                pose = cache.state[step.row, 2:5] if frame == "block" else None
                points.append(_seen(found.point, pose))
                weights.append(found.weight)
                actions.append(_seen(step.episode.actions[step.row][None], pose)[0])
    return find_coverage(points, weights, np.array(actions), frame, len(strides))


def find_coverage(
    points: Sequence[Array],
    weights: Sequence[Array],
    actions: Array,
    frame: str = "world",
    episodes: int = 1,
    seed: int = 0,
) -> Coverage:
    """The same from weighted points of each step's density, (P, 2) px and (P,), and the recorded actions (T, 2) px."""
    rng = np.random.default_rng(seed)
    shares = np.stack(
        [_histogram(p, w, frame, CELLS).ravel() for p, w in zip(points, weights, strict=True)]
    )  # (T, cells)
    counts = _histogram(actions, np.ones(len(actions)), frame, CELLS).ravel()
    drawn = np.zeros((DRAWS, shares.shape[1]))
    for share in shares:
        chosen = np.searchsorted(np.cumsum(share), rng.random(DRAWS) * max(share.sum(), 1e-12))
        drawn[np.arange(DRAWS), chosen.clip(max=len(share) - 1)] += 1
    expected = shares.sum(axis=0)
    p = _two_sided(counts, drawn)
    null, tv = _tv(drawn, expected), float(_tv(counts[None], expected)[0])
    everything, mass = np.concatenate(points), np.concatenate(weights) / len(points)
    fine = _histogram(everything, mass, frame, FINE)
    low, high = FRAMES[frame]
    distance = (high - low) / CELLS
    square = (CELLS, CELLS)
    return Coverage(
        frame, episodes, actions, fine / ((high - low) / FINE) ** 2, counts.reshape(square), expected.reshape(square),
        p.reshape(square), benjamini_hochberg(p, counts + expected > 0).reshape(square), tv, null, distance,
        float(mass[_far(everything, actions, distance)].sum()),
    )  # fmt: skip


def benjamini_hochberg(p: Array, tested: Array, level: float = FALSE) -> Array:
    """(n,) bool: tests that are told, so that `level` of them are false on average (Benjamini & Hochberg 1995)."""
    values = np.where(tested, p, np.inf)
    order = np.argsort(values)
    bound = level * np.arange(1, len(p) + 1) / max(1, int(tested.sum()))
    passed = np.flatnonzero(values[order] <= bound)
    found = np.zeros(len(p), dtype=bool)
    if len(passed):
        found[order[: passed[-1] + 1]] = True
    return found


def _two_sided(counts: Array, drawn: Array) -> Array:
    # Twice the smaller tail, with the data among the draws (Davison & Hinkley 1997, 4.2).
    above, below = ((1 + each.sum(axis=0)) / (1 + len(drawn)) for each in (drawn >= counts, drawn <= counts))
    found: Array = np.minimum(1.0, 2 * np.minimum(above, below))
    return found


def _tv(counts: Array, expected: Array) -> Array:
    found: Array = 0.5 * np.abs(counts / counts.sum(axis=-1, keepdims=True) - expected / expected.sum()).sum(axis=-1)
    return found


def _histogram(points: Array, weight: Array, frame: str, cells: int) -> Array:
    # (cells, cells) [y, x]; what is beyond the frame counts in the cells at its border
    low, high = FRAMES[frame]
    index = np.clip(((points - low) / (high - low) * cells).astype(int), 0, cells - 1)
    found: Array = np.bincount(index[:, 1] * cells + index[:, 0], weight, cells**2).reshape(cells, cells)
    return found


def _seen(points: Array, pose: Array | None) -> Array:
    # In the block's frame: its position is the origin, its angle 0.
    if pose is None:
        return points
    c, s = np.cos(pose[2]), np.sin(pose[2])
    turned: Array = (points - pose[:2]) @ np.array([[c, -s], [s, c]])
    return turned


def _far(points: Array, actions: Array, distance: float) -> Array:
    # (P,) bool: farther than `distance` from every action
    found = np.empty(len(points), dtype=bool)
    for start in range(0, len(points), 4096):
        part = points[start : start + 4096]
        found[start : start + 4096] = distances(part, actions).min(axis=1) > distance
    return found
