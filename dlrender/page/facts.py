"""What a page says of a run: policy, data, definitions, how exact the density is, and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlrender.metadata import PLACES, PROVENANCE, relative
from dlscore.cache import LARGE_ERROR, LEAST_INSIDE, EpisodeCache

# Attributes of a file as the page names them.
NAMES = {
    "policy": "policy", "policy_revision": "policy revision", "dataset": "data", "dataset_revision": "data revision",
    "episode": "episode", "executed_by": "actions executed by", "seed": "seed", "replay": "replay",
    "observations": "observations", "pose_source": "block's pose from", "predicted_action_is": "prediction",
    "created_at": "computed", "git_revision": "git revision",
}  # fmt: skip

Facts = list[list[str]]  # [name, value] each


def facts_of(cache: EpisodeCache, provenance: bool) -> Facts:
    """Of the file. provenance: False leaves out paths, names, revisions, versions and dates, as for `dlrender render`."""
    hidden = () if provenance else (*PROVENANCE, "executed_by")
    found = []
    for name, label in NAMES.items():
        value = cache.attrs.get(name)
        if value not in (None, "") and name not in hidden:
            found.append([label, relative(str(value)) if name in (*PLACES, "executed_by") else str(value)])
    drift = ", ".join(f"{part.replace('_', ' ')} {value:.2g}" for part, value in cache.largest_drift().items())
    found.append(["steps", f"{cache.steps}, every {cache.every}" if cache.every > 1 else str(cache.steps)])
    found += [["largest drift", drift]] if drift else []
    versions = cache.attrs.get("versions")
    if provenance and isinstance(versions, Mapping) and "dlscore" in versions:
        found.append(["dlscore", str(versions["dlscore"])])
    return found


def facts_of_method(cache: EpisodeCache, method: str) -> Facts:
    """Of a method: its definition, settings, and estimated errors."""
    attrs = cache.score_attrs(method)
    settings = ", ".join(f"{name} {value}" for name, value in sorted(attrs.get("parameters", {}).items()))
    found = [["definition", str(attrs["definition"])], ["units", str(attrs["units"])]]
    found += [["settings", settings]] if settings else []
    checks = cache.checks(method)
    if "error" in checks:
        error = checks["error"]
        found.append(
            ["error bar", f"total variation from the truth: median {np.median(error):.3f}, largest {error.max():.3f}"]
        )
    if cache.is_density(method):
        least = np.floor(1000 * float(cache.inside(method).min())) / 10  # never rounded up
        found.append(["inside the grid", f"{least:.1f} % of the probability or more"])
    ranks = cache.own_ranks(method)
    if ranks is not None:
        found.append(
            ["policy's own draws", f"mean rank {ranks.mean():.2f} (0.50 if the density is what the policy does)"]
        )
    return found


def warnings_of(cache: EpisodeCache, method: str) -> list[str]:
    """What a reader should know before trusting a method's pictures; mostly nothing."""
    found, checks = [], cache.checks(method)
    counted: tuple[Any, ...] = ()
    if cache.is_density(method):
        counted = (
            (checks.get("error", np.zeros(cache.steps)) > LARGE_ERROR, f"the estimated error is above {LARGE_ERROR:g}"),
            (
                cache.inside(method) < LEAST_INSIDE,
                f"less than {LEAST_INSIDE:.0%} of the probability is inside the grid",
            ),
        )
        if not cache.has_mixture(method):
            found.append("this cache has no mixture, so its density has no statistics")
    found += [f"on {int(where.sum())} of {cache.steps} steps {what}" for where, what in counted if where.any()]
    return [*found, *([str(cache.attrs["drift_warning"])] if cache.attrs.get("drift_warning") else [])]
