"""Care of finished caches: is every number still the one that was written, and the methods of several files in one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlscore import checksums, provenance, seal
from dlscore.cache import EpisodeCache, read_episode
from dlscore.cache_writer import CacheWriter
from dlscore.lock import exclusive
from dlscore.schema import CacheError, part_path, reason

BLOCK = 100  # steps that are copied together
# What the files of one run have in common to the last bit, whatever their methods.
SHARED = ("predicted_chunks", "predicted_action", "expert_action", "state", "time")


def verify(path: Path) -> dict[str, Any]:
    """Read every number of a cache: its schema, shapes, seal, checksums, finite values and done mask.

    Raises CacheError with what is wrong. `checksums` counts the arrays and the attributes that have one: a file of schema
    1.2 has neither these nor a seal, and one of 1.3 none for its attributes.
    """
    with read_episode(path, partial=True) as cache:
        done = int(cache.done.sum())
        for step in np.flatnonzero(cache.done):
            cache.frame_index(int(step))
            for method in cache.methods:
                cache.score(method, int(step))
        for method in cache.methods:
            cache.checks(method)
        finished = done == cache.steps and path.suffix == ".h5"
        checked = _check_sums(path) if finished else {}
        found = {"path": str(path), "state": "finished" if finished else "partial", "steps": cache.steps, "steps_done": done,
                 "methods": list(cache.methods), "checksums": checked, "sealed": seal.state(path) == "whole"}  # fmt: skip
    if path.suffix == ".h5" and not finished:
        raise CacheError(f"{path} has a finished name and {done} of {found['steps']} steps; compute it again")
    return found


def verify_all(paths: Sequence[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """`verify` of each file that is whole, and what is wrong with each other one."""
    found, damaged = [], []
    for path in paths:
        try:
            found.append(verify(path))
        except CacheError as error:
            damaged.append(str(error))
    return found, damaged


def _check_sums(path: Path) -> dict[str, int]:
    # How many arrays and attributes have the checksum that was taken when the file was finished.
    try:
        with h5py.File(path, "r", locking=False) as file:
            arrays, attributes = checksums.count(file)
            found = checksums.differences(file)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CacheError(f"{path} is damaged ({reason(error)}); compute it again") from error
    if found:
        raise CacheError(f"{path} is damaged ({'; '.join(found)}); compute it again")
    return {"arrays": arrays, "attributes": attributes}


def format_verified(found: dict[str, Any]) -> str:
    """`verify` as a line."""
    steps = f"{found['steps_done']} of {found['steps']} steps of {', '.join(found['methods'])}"
    if found["state"] == "partial":
        return f"{found['path']}: whole as far as it goes, {steps}"
    arrays, attributes = found["checksums"]["arrays"], found["checksums"]["attributes"]
    sums = (
        f"{arrays} arrays and {attributes} attributes have their checksums" if arrays else "no checksums (schema 1.2)"
    )
    sealed = "sealed" if found["sealed"] else "no seal: of schema 1.2, or another program added to it"
    return f"{found['path']}: whole, {steps}; {sums}; {sealed}"


def merge(into: Path, others: Sequence[Path]) -> list[str]:
    """Give the finished cache `into` the methods that the `others`, of the same run, have more; their names.

    CacheError, before anything is written, where a file is of other settings, or scored a method otherwise.
    """
    with read_episode(into):
        pass
    with exclusive(into) as lock, ExitStack() as stack:
        if part_path(into).exists():
            raise CacheError(f"{part_path(into)} is unfinished; finish it with dlscore compute, or remove it")
        origin: dict[str, EpisodeCache] = {}
        described: dict[str, dict[str, Any]] = {}
        with read_episode(into) as target:
            for cache in [stack.enter_context(read_episode(other)) for other in others]:
                _check_same(target, cache)
                for method in cache.methods:
                    attrs = cache.score_attrs(method)
                    known = target.score_attrs(method) if method in target.methods else described.get(method, attrs)
                    if difference := provenance.difference(known["parameters"], attrs["parameters"]):
                        raise CacheError(f"{cache.path} scored {method} otherwise ({difference}); keep the files apart")
                    if method not in target.methods and method not in described:
                        described[method], origin[method] = attrs, cache
        if described:
            try:
                writer = CacheWriter.extend(into, described, lock.check)
                for start in range(0, writer.steps, BLOCK):
                    writer.write(slice(start, start + BLOCK), _scores(origin, start))
                writer.finish()
            except BaseException:  # nothing in it took long
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
        rows = range(start, min(start + BLOCK, cache.steps))
        arrays[f"scores/{method}"] = np.stack([cache.score(method, step) for step in rows])
        arrays |= {f"checks/{method}/{name}": values[start : start + BLOCK]
                   for name, values in cache.checks(method).items()}  # fmt: skip
    return arrays
