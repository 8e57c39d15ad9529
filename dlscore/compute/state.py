"""The state of a cache file compared with the settings that are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlscore.cache import provenance
from dlscore.cache.errors import CacheError, ForeignError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path

__all__ = ["CacheState", "inspect_cache", "inspect_file"]


@dataclass(frozen=True)
class CacheState:
    """`name` is one of:

    missing; current; lacking (finished, without some methods); partial (resumable); stale (made with other settings, or
    unreadable); foreign (not a cache, or of a newer schema). `reason` says what differs or is lacking. `extra`: methods that
    a part was begun with and that are no longer asked for.
    """

    name: str
    reason: str = ""
    extra: tuple[str, ...] = ()


def inspect_cache(path: Path, identity: Mapping[str, Any], score_attrs: Mapping[str, Mapping[str, Any]]) -> CacheState:
    """The state of the cache at `path`, or of the part beside it, against an identity and the methods' attributes."""
    candidates = [candidate for candidate in (path, part_path(path)) if candidate.exists()]
    found = [inspect_file(candidate, identity, score_attrs) for candidate in candidates]
    if not found:
        return CacheState("missing")
    # A part beside a finished file adds methods to it. Who does not ask for them has what they need.
    return found[0] if found[0].name == "current" else found[-1]


def inspect_file(file: Path, identity: Mapping[str, Any], score_attrs: Mapping[str, Mapping[str, Any]]) -> CacheState:
    """`inspect_cache` of one file that exists, finished or a part."""
    finished = file.suffix == ".h5"
    try:
        with open_cache(file, partial=not finished) as cache:
            stored = {name: cache.score_attrs(name) for name in cache.methods}
            changed = [provenance.difference(cache.attrs.get("identity", {}), identity)]
            being_made = set(cache.attrs.get("extending", stored))
    except ForeignError as error:
        return CacheState("foreign", str(error))
    except CacheError as error:
        return CacheState("stale", str(error))
    for name in sorted(set(stored) & set(score_attrs)):
        settings = provenance.difference(stored[name]["parameters"], score_attrs[name]["parameters"])
        changed.append(settings and f"{name} {settings}")
    lacking, extra = set(score_attrs) - set(stored), being_made - set(score_attrs)
    if not finished and (lacking or not being_made - extra):
        changed.append(f"methods: {', '.join(sorted(stored))} -> {', '.join(sorted(score_attrs))}")
    if any(changed):
        return CacheState("stale", f"{file} was made with other settings ({', '.join(filter(None, changed))})")
    if not finished:
        reason = f"it was begun with {', '.join(sorted(extra))} too" if extra else ""
        return CacheState("partial", reason, tuple(sorted(extra)))
    return CacheState("lacking", ", ".join(sorted(lacking))) if lacking else CacheState("current")
