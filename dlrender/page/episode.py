"""What a page holds of an episode: the caches that scored it, the world at each step, windows, and each method's scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.distinct import Key, key_of, letter, policy_of
from dlrender.errors import RenderError
from dlrender.metadata import relative
from dlrender.output import densities_first
from dlrender.page.facts import facts_of, facts_of_method, warnings_of
from dlrender.page.pack import PX, RAD, pack
from dlrender.page.source import read_source
from dlrender.style.style import Style
from dlrender.window import Boxes, make_windows
from dlscore.cache import EpisodeCache, drift_label, open_cache

PAIRED = 0.01  # px by which recorded actions may differ


def group_files(files: Sequence[Path]) -> dict[Key, list[Path]]:
    """The caches of each recorded episode, in the order given; RenderError where two score other steps of one."""
    groups: dict[Key, list[Path]] = {}
    first: dict[Key, EpisodeCache] = {}
    for file in files:
        with open_cache(file) as cache:
            key = key_of(cache)
            if file.resolve() in [other.resolve() for other in groups.get(key, [])]:
                raise RenderError(f"{file} was given twice; name each cache once")
            _check_same_steps(first.setdefault(key, cache), cache)
            groups.setdefault(key, []).append(file)
    return groups


def _check_same_steps(one: EpisodeCache, other: EpisodeCache) -> None:
    of = f"{one.path} and {other.path} are both of episode {one.episode}, but"
    if (one.steps, one.every) != (other.steps, other.every):
        raise RenderError(
            f"{of} one has {one.steps} steps (every {one.every}) and the other {other.steps} (every {other.every}); "
            "score the same steps, or make a page of each"
        )
    if not np.allclose(one.expert_action, other.expert_action, atol=PAIRED):
        raise RenderError(f"{of} they have other recorded actions; make a page of each")


def read_episode(files: Sequence[Path], provenance: bool = True) -> dict[str, Any]:
    """The caches of one episode as the page takes them; CacheError for what cannot be read."""
    found: dict[str, Any] = {"files": [], "sources": []}
    runs: list[tuple[str, int]] = []
    for number, file in enumerate(files):
        with open_cache(file) as cache:
            if not number:
                found |= _shared(cache, provenance)
            found["files"].append(_of_file(cache, provenance))
            runs.append((relative(policy_of(cache)), cache.seed))
            for method in densities_first(cache):
                source: dict[str, Any] = {
                    "file": number,
                    "facts": facts_of_method(cache, method),
                    "warnings": warnings_of(cache, method),
                }
                source |= read_source(cache, method)
                if not provenance:
                    source["table"]["texts"] = {}
                found["sources"].append(source)
    names = file_names(runs, files) if provenance else [letter(k).upper() for k in range(len(files))]
    for entry, name in zip(found["files"], names, strict=True):
        entry["name"] = name
    return found


def file_names(runs: Sequence[tuple[str, int]], files: Sequence[Path]) -> list[str]:
    """What tells the caches of a page apart: the policy of each run, with the seed where that is needed, or the path."""
    policies = [policy for policy, _ in runs]
    for names in (policies, [f"{policy}, seed {seed}" for policy, seed in runs]):
        if max(Counter(names).values()) == 1:
            return names
    return [relative(str(file)) for file in files]


def _shared(cache: EpisodeCache, provenance: bool) -> dict[str, Any]:
    # The same for all caches of the episode.
    spanned = cache.steps * cache.every
    return {
        "episode": cache.episode,
        "dataset": relative(str(cache.attrs.get("dataset", ""))) if provenance else "",
        "steps": cache.steps,
        "every": cache.every,
        "length": min(spanned, int(cache.attrs.get("episode_length", spanned))),
        "fps": float(cache.attrs["fps"]),
        "action": cache.action_label,
        "time": pack(cache.time, None),
        "recorded": pack(cache.expert_action, PX, (0,)),
    }


def _of_file(cache: EpisodeCache, provenance: bool) -> dict[str, Any]:
    steps, methods = range(cache.steps), densities_first(cache)
    boxes: Boxes = {}
    follow, fit = (
        make_windows(cache, methods, kind, Style.window_size, shown, boxes)
        for kind, shown in (("follow", steps), ("fit", [0]))
    )
    labels = [drift_label(dict(zip(cache.drift_parts, map(float, row), strict=True))) for row in cache.drift]
    state = cache.state.copy()
    return {
        "facts": facts_of(cache, provenance),
        "place": pack(state[:, :4], PX, (0,)),
        "angle": pack(state[:, 4:], RAD, (0,)),
        "predicted": pack(cache.predicted_action, PX, (0,)),
        "chunks": pack(cache.predicted_chunks[:, :, cache.current :], PX, (-2,)),
        "follow": pack(np.array([[each.left, each.top, each.side] for each in follow]), None),
        "fit": [fit[0].left, fit[0].top, fit[0].side],
        "drifts": {str(step): label for step, label in enumerate(labels) if label},
    }
