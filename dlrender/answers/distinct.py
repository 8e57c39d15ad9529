"""What caches may be counted together: an episode once, since steps of the same episode are no new evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache, open_cache

Key = tuple[str, int]  # data set and episode: what a bootstrap draws


def key_of(cache: EpisodeCache) -> Key:
    """The recorded episode of a cache, whoever scored it."""
    return str(cache.attrs.get("dataset", "")), cache.episode


def policy_of(cache: EpisodeCache) -> str:
    """The policy that scored it."""
    return str(cache.attrs.get("policy", "unknown"))


def letter(k: int) -> str:
    """A name for the k-th of several that have none to be told: a to z, then a2 to z2."""
    return f"{chr(ord('a') + k % 26)}{k // 26 + 1 if k >= 26 else ''}"


def check_distinct(files: Sequence[Path], one: str = "") -> None:
    """RenderError for no caches and for an episode that is there twice under a policy, with whatever seeds.

    one: what is of one policy, such as `a report`; then also for several policies.
    """
    if not files:
        raise RenderError("no caches were given; name one or more, such as data/cache/episode_000.h5")
    seen: dict[tuple[str, Key], Path] = {}
    for file in files:
        with open_cache(file) as cache:
            key = policy_of(cache), key_of(cache)
        if key in seen:
            raise RenderError(f"{seen[key]} and {file} are the same episode under the same policy; name one of them")
        seen[key] = file
    policies = sorted({policy for policy, _ in seen})
    if one and len(policies) > 1:
        raise RenderError(f"the caches are of several policies ({', '.join(policies)}); {one} is of one")
