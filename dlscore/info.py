"""`dlscore info`: what is in a cache file, for people and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dlscore.cache import EpisodeCache, format_drift, largest_drift, read_episode
from dlscore.schema import LEVEL_LIMIT

PROVENANCE = (
    "policy", "policy_revision", "dataset", "dataset_revision", "pose_source", "pose_note", "drift_warning", "replay",
    "observations", "seed", "device", "created_at", "wall_time_s", "network_evaluations", "versions", "git_revision",
    "identity", "key",
)  # fmt: skip


def describe_cache(path: Path) -> dict[str, Any]:
    """Shapes, methods, provenance, drift and state of a finished or unfinished cache."""
    with read_episode(path, partial=True) as cache:
        done = int(cache.done.sum())
        return {
            "path": str(path),
            "state": "finished" if done == cache.steps else "partial",
            "episode": cache.episode,
            "steps": cache.steps,
            "steps_done": done,
            "grid": [cache.grid.resolution, cache.grid.resolution],
            "predicted_chunks": list(cache.predicted_chunks.shape),
            "methods": {name: cache.score_attrs(name) for name in cache.methods},
            "mass_in_grid": {name: _mass(cache, name) for name in cache.methods if _is_density(cache, name) and done},
            "checks": {name: describe_checks(cache, name) for name in cache.methods if cache.checks(name) and done},
            "largest_drift": largest_drift(cache),
            "bytes": path.stat().st_size,
            **{name: cache.attrs[name] for name in PROVENANCE if name in cache.attrs},
        }


def _is_density(cache: EpisodeCache, method: str) -> bool:
    return bool(cache.score_attrs(method)["kind"] == "log_density")


def _mass(cache: EpisodeCache, method: str) -> list[float]:
    # Least and greatest over the steps of the probability that lies inside the grid: 1 where the policy stays inside.
    masses = [np.exp(cache.score(method, int(k)).astype(np.float64)).sum() for k in np.flatnonzero(cache.done)]
    return [float(min(masses) * cache.grid.cell_area), float(max(masses) * cache.grid.cell_area)]


def describe_checks(cache: EpisodeCache, method: str) -> dict[str, Any]:
    """Median and largest over the steps of each check of a method, and at how many steps the levels differ."""
    checks = {name: values[cache.done] for name, values in cache.checks(method).items()}
    described: dict[str, Any] = {
        name: {"median": float(np.median(values)), "largest": float(values.max())} for name, values in checks.items()
    }
    described["steps_above_level_limit"] = int((checks["level_difference"] > LEVEL_LIMIT).sum())
    return described


def read_checks(path: Path) -> dict[str, Any]:
    """`describe_checks` of each method of a cache that has them."""
    with read_episode(path) as cache:
        return {method: describe_checks(cache, method) for method in cache.methods if cache.checks(method)}


def format_checks(checks: dict[str, Any], steps: int) -> str:
    """`describe_checks` as a line."""
    error, levels = checks["sampling_error"], checks["level_difference"]
    return (
        f"standard error {error['median']:.3f}, largest {error['largest']:.3f}; noise levels differ by {levels['median']:.3f}, "
        f"largest {levels['largest']:.3f}, above {LEVEL_LIMIT} at {checks['steps_above_level_limit']} of {steps} steps "
        "(total variation)"
    )


def format_cache(described: dict[str, Any]) -> str:
    """`describe_cache` as indented lines."""
    lines = [
        f"{described['path']}: episode {described['episode']}, {described['state']}, "
        f"{described['steps_done']}/{described['steps']} steps, {described['bytes'] / 1e6:.2f} MB",
        f"  grid {described['grid'][0]} × {described['grid'][1]}, chunks {described['predicted_chunks']}",
        f"  largest drift of the replay: {format_drift(described['largest_drift'])}",
    ]
    for name, attrs in described["methods"].items():
        settings = ", ".join(f"{key} {value}" for key, value in attrs["parameters"].items())
        lines.append(
            f"  {name} [{attrs['units']}]: {attrs['definition']}; {attrs['evaluations_per_step']} evaluations a step"
            + (f" ({settings})" if settings else "")
        )
        if name in described["mass_in_grid"]:
            low, high = described["mass_in_grid"][name]
            lines.append(f"    probability inside the grid: {low:.4f} to {high:.4f} over the steps")
        if name in described["checks"]:
            lines.append(f"    {format_checks(described['checks'][name], described['steps_done'])}")
    for name in PROVENANCE:
        if described.get(name) not in (None, "") and name != "identity":
            value = described[name]
            text = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
            lines.append(f"  {name}: {text}")
    return "\n".join(lines)
