"""Add the methods of other files of the same run to a finished cache."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.cache import provenance
from dlscore.cache.errors import CacheError
from dlscore.cache.lock import exclusive
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.cache.schema import part_path
from dlscore.cache.writer import CacheWriter

COPY_STEPS = 100  # steps that are copied together
# Identical in all files of one run, whatever their methods.
SHARED = ("predicted_chunks", "predicted_action", "expert_action", "state", "time")


def merge(into: Path, others: Sequence[Path]) -> list[str]:
    """Add the methods that the `others` have, from the same run, to the finished cache `into`; the names that were added.

    Raises CacheError, before anything is written, for a file of other settings or with other settings of a method.
    """
    with open_cache(into):
        pass
    with exclusive(into) as lock, ExitStack() as stack:
        if part_path(into).exists():
            raise CacheError(f"{part_path(into)} is unfinished; finish it with dlscore compute, or remove it")
        origin: dict[str, EpisodeCache] = {}
        described: dict[str, dict[str, Any]] = {}
        with open_cache(into) as target:
            for cache in [stack.enter_context(open_cache(other)) for other in others]:
                _check_same(target, cache)
                for method in cache.methods:
                    attrs = cache.score_attrs(method)
                    known = target.score_attrs(method) if method in target.methods else described.get(method, attrs)
                    if difference := provenance.difference(known["parameters"], attrs["parameters"]):
                        raise CacheError(
                            f"{cache.path} scored {method} with other settings ({difference}); keep the files apart"
                        )
                    if method not in target.methods and method not in described:
                        described[method], origin[method] = attrs, cache
        if described:
            try:
                writer = CacheWriter.extend(into, described, lock.check)
                for start in range(0, writer.steps, COPY_STEPS):
                    writer.write(slice(start, start + COPY_STEPS), _scores(origin, start))
                writer.finish()
            except BaseException:  # cheap to do again
                part_path(into).unlink(missing_ok=True)
                raise
    return list(described)


def _check_same(target: EpisodeCache, cache: EpisodeCache) -> None:
    difference = provenance.difference(target.attrs.get("identity", {}), cache.attrs.get("identity", {}))
    same = all(np.array_equal(getattr(target, name), getattr(cache, name)) for name in SHARED)
    if difference or not same:
        raise CacheError(
            f"{cache.path} is not of the run of {target.path} ({difference or 'its predictions or states differ'}); keep "
            "them apart"
        )


def _scores(origin: dict[str, EpisodeCache], start: int) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for method, cache in origin.items():
        arrays |= cache.method_arrays(method, slice(start, min(start + COPY_STEPS, cache.steps)))
    return arrays
