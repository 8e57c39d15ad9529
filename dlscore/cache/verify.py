"""Verification: is every number in a cache still the one that was written?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlscore.cache import checksums, seal
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.common.text import reason_of


def verify(path: Path) -> dict[str, Any]:
    """Read every number of a cache: its schema, shapes, seal, checksums, finite values and done mask.

    Raises CacheError that says what is wrong. `checksums` counts the arrays and attributes that have one. A file of schema
    1.2 has neither checksums nor a seal; one of 1.3 has none for its attributes.
    """
    with open_cache(path, partial=True) as cache:
        done = int(cache.done.sum())
        for step in np.flatnonzero(cache.done):
            cache.frame_index(int(step))
            for method in cache.methods:
                cache.score(method, int(step))
                cache.denoised_chunks(method, int(step))
                if cache.has_mixture(method):
                    cache.mixture(method, int(step))
        for method in cache.methods:
            cache.checks(method), cache.log_error(method), cache.own_ranks(method), cache.recorded(method)
        finished = done == cache.steps and path.suffix == ".h5"
        checked = _check_sums(path) if finished else {}
        found = {"path": str(path), "state": "finished" if finished else "partial", "steps": cache.steps, "steps_done": done,
                 "methods": list(cache.methods), "checksums": checked, "sealed": seal.state(path) == "whole"}  # fmt: skip
    if path.suffix == ".h5" and not finished:
        raise CacheError(f"{path} has a finished name and {done} of {found['steps']} steps; compute it again")
    return found


def verify_all(paths: Sequence[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """(`verify` of each intact file, what is wrong with each of the others)."""
    found, damaged = [], []
    for path in paths:
        try:
            found.append(verify(path))
        except CacheError as error:
            damaged.append(str(error))
    return found, damaged


def _check_sums(path: Path) -> dict[str, int]:
    # How many arrays and attributes match the checksums of the finished file.
    try:
        with h5py.File(path, "r", locking=False) as file:
            arrays, attributes = checksums.count(file)
            found = checksums.differences(file)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CacheError(f"{path} is damaged ({reason_of(error)}); compute it again") from error
    if found:
        raise CacheError(f"{path} is damaged ({'; '.join(found)}); compute it again")
    return {"arrays": arrays, "attributes": attributes}
