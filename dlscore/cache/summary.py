"""What is in a cache file, or in the caches of a folder, as plain data for `dlscore info` and `dlscore status`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.cache.errors import CacheError
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.cache.schema import FIELDS
from dlscore.cache.trust import summarize_density

PROVENANCE = (
    "policy", "policy_revision", "dataset", "dataset_revision", "executed_by", "episode_length", "episode_success",
    "episode_best_reward", "pose_source", "pose_note", "drift_warning", "replay", "observations", "seed", "device",
    "created_at", "wall_time_s", "network_evaluations", "versions", "git_revision", "identity", "key",
)  # fmt: skip

OUTCOME = tuple(field.name for field in FIELDS if field.optional)


def summarize(path: Path) -> dict[str, Any]:
    """Shapes, methods, provenance, drift and state of a finished or unfinished cache."""
    with open_cache(path, partial=True) as cache:
        done = int(cache.done.sum())
        return {
            "path": str(path),
            "state": "finished" if done == cache.steps else "partial",
            "episode": cache.episode,
            "steps": cache.steps,
            "steps_done": done,
            "every": cache.every,
            "recorded_action": cache.action_label,
            "outcome": [name for name in OUTCOME if cache.has(name)],
            "grid": [cache.grid.resolution, cache.grid.resolution],
            "predicted_chunks": list(cache.predicted_chunks.shape),
            "chunk_evaluations_per_step": cache.attrs.get("chunk_evaluations_per_step"),
            "methods": {name: cache.score_attrs(name) for name in cache.methods},
            "mass_in_grid": {name: _mass(cache, name) for name in cache.methods if cache.is_density(name) and done},
            "densities": summarize_densities(cache),
            "checks": {name: summarize_checks(cache, name) for name in cache.methods if cache.checks(name) and done},
            "largest_drift": cache.largest_drift(),
            "bytes": path.stat().st_size,
            **{name: cache.attrs[name] for name in PROVENANCE if name in cache.attrs},
        }


def _mass(cache: EpisodeCache, method: str) -> list[float]:
    # Least and greatest probability inside the grid over the steps; 1 if the policy stays inside.
    inside = cache.inside(method)[cache.done]
    return [float(inside.min()), float(inside.max())]


def summarize_checks(cache: EpisodeCache, method: str) -> dict[str, Any]:
    """Median and largest over the steps of each check of a method."""
    checks = {name: values[cache.done] for name, values in cache.checks(method).items()}
    return {
        name: {"median": float(np.median(values)), "largest": float(values.max())} for name, values in checks.items()
    }


def summarize_densities(cache: EpisodeCache) -> dict[str, Any]:
    """`trust.summarize_density` of each method that is a density."""
    found = {method: summarize_density(cache, method) for method in cache.methods}
    return {method: each for method, each in found.items() if each}


def read_checks(path: Path) -> dict[str, Any]:
    """`summarize_checks` of each method of a cache that has checks."""
    with open_cache(path) as cache:
        return {method: summarize_checks(cache, method) for method in cache.methods if cache.checks(method)}


def read_densities(path: Path) -> dict[str, Any]:
    """`summarize_densities` of a finished cache."""
    with open_cache(path) as cache:
        return summarize_densities(cache)


CACHE_NAME = re.compile(r"episode_(\d+)\.h5(\.part)?")


def read_status(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each cache and each part beside it: folder, episode, state, steps done, steps, methods, bytes, note.

    States: "finished"; "partial", with `locked` if a run is writing it or was killed; "damaged", with the reason. Raises
    CacheError for a path that is not a folder.
    """
    rows = []
    for folder in folders:
        if not folder.is_dir():
            raise CacheError(f"{folder} is not a folder; give a folder of caches, as dlscore compute makes them")
        for path in sorted(folder.iterdir()):
            if match := CACHE_NAME.fullmatch(path.name):
                with suppress(FileNotFoundError):  # a part that was finished in the meantime
                    rows.append({"folder": str(folder), "episode": int(match[1]), **_status_of(path)})
    return rows


def _status_of(path: Path) -> dict[str, Any]:
    finished = path.suffix == ".h5"
    lock = path.with_name(path.name.removesuffix(".part") + ".lock")
    row = {"state": "finished" if finished else "partial", "locked": not finished and lock.exists()}
    try:
        with open_cache(path, partial=not finished) as cache:
            return {**row, "steps_done": int(cache.done.sum()), "steps": cache.steps, "methods": list(cache.methods),
                    "bytes": path.stat().st_size, "note": ""}  # fmt: skip
    except CacheError as error:
        return {**row, "state": "damaged", "steps_done": 0, "steps": 0, "methods": [], "bytes": path.stat().st_size,
                "note": str(error)}  # fmt: skip
