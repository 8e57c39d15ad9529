"""What decides the numbers in a cache: policy, data and settings. Nothing here needs torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dlscore.compute.settings import Request, Settings
from dlscore.episodes.dataset import Dataset
from dlscore.episodes.episode import Episode
from dlscore.episodes.replay import replayed_observations
from dlscore.policy.folder import checkpoint_files, resolve_policy

__all__ = ["digest_inputs", "load_episode", "make_identity"]


def load_episode(dataset: Dataset, settings: Settings, index: int, inputs: Mapping[str, tuple[int, ...]]) -> Episode:
    """An episode with the observations that a policy with these `inputs` takes, recorded or replayed."""
    if settings.observations == "recorded":
        return dataset.load(index, inputs, settings.max_steps)
    episode = dataset.load(index, (), settings.max_steps)
    return replayed_observations(episode, inputs, settings.replay, settings.reach(len(episode)))


def make_identity(policy: str, episode: Episode, settings: Settings) -> dict[str, Any]:
    """Everything but the methods that decides the numbers in a cache. policy: the fingerprint of its files."""
    identity = {
        "policy": policy,
        "episode_data": episode.fingerprint(),
        "episode": episode.index,
        "steps": settings.count_steps(len(episode)),
        "action_resolution": settings.resolution,
        "chunks": settings.chunks,
        "seed": settings.seed,
        "replay": settings.replay,
    }
    # Defaults have no entry, so that caches of earlier versions stay current.
    if settings.every != 1:
        identity["every"] = settings.every
    if settings.observations != "recorded":
        identity["observations"] = settings.observations
    if settings.task:
        identity["task"] = settings.task
    return identity


def digest_inputs(request: Request, dataset: Dataset, indices: Iterable[int]) -> dict[int, str]:
    """A digest of path, size and modification time of all files that decide an episode's numbers, for each episode.

    It changes whenever a file is replaced or written, and costs no reading: make asks it whether a cache may be stale.
    """
    folder, _ = resolve_policy(request.policy_path, request.policy_revision)
    seen: dict[Path, str] = {}

    def state(file: Path) -> str:
        if file not in seen:
            found = file.stat() if file.exists() else None
            seen[file] = f"{file.resolve()} {found and (found.st_size, found.st_mtime_ns)}"
        return seen[file]

    shared = [state(file) for file in checkpoint_files(folder)]
    return {
        index: hashlib.sha256("\n".join([*shared, *map(state, dataset.files(index))]).encode()).hexdigest()[:16]
        for index in indices
    }
