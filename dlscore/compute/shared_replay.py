"""The replay of an episode from a finished cache of the same episode, made under another policy: nothing is stepped or drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlscore.cache.errors import CacheError
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.episodes.replay import ReplayStep

__all__ = ["open_shared", "read_replay"]


def open_shared(path: Path, identity: Mapping[str, Any]) -> EpisodeCache | None:
    """The cache at `path` if its replay is that of an episode with this `identity`, whatever its policy; else None.

    A replay depends on the episode and the settings, so it makes no difference to a number whether it is taken or done.
    """
    try:
        cache = open_cache(path)
    except CacheError:
        return None
    stored = dict(cache.attrs.get("identity", {}))
    if {**stored, "policy": ""} != {**identity, "policy": ""}:
        cache.close()
        return None
    return cache


def read_replay(cache: EpisodeCache, first: int) -> Iterator[ReplayStep]:
    """The replayed steps that the cache holds, from row `first` on; it is closed at the end."""
    with cache:
        for row in range(first, cache.steps):
            drift = dict(zip(cache.drift_parts, map(float, cache.drift[row]), strict=True))
            yield ReplayStep(row * cache.every, cache.state[row], cache.frame(row), drift)
