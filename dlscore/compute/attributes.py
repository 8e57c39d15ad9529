"""What a cache file says about how it was made."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import torch

from dlscore.cache import provenance
from dlscore.cache.drift import DRIFT_LIMIT
from dlscore.compute.run import Run
from dlscore.episodes.episode import Episode
from dlscore.policy.base import Policy

__all__ = ["file_attributes"]


def file_attributes(run: Run, episode: Episode, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of the file: policy, data set, settings, versions, and the key of the identity."""
    policy, settings = run.policy, run.settings
    return {
        "episode": episode.index,
        "fps": episode.fps,
        "policy": policy.name,
        "policy_revision": policy.revision,
        "dataset": run.dataset.name,
        "dataset_revision": run.dataset.revision,
        "seed": settings.seed,
        "device": str(policy.device),
        "batch_size": policy.batch_size,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": provenance.versions(),
        "git_revision": provenance.git_revision(),
        "identity": dict(identity),
        "key": provenance.settings_key(identity),
        **_outcome(episode),
        "pose_source": episode.pose_source,
        "pose_note": episode.pose_note,
        "observations": settings.observations,
        "every": settings.every,
        **({"task": settings.task} if settings.task else {}),
        "replay": settings.replay,
        "drift_limit_px": DRIFT_LIMIT,
        "chunk_evaluations_per_step": policy.chunk_evaluations(settings.chunks),
        **_made_with(policy),
        "current_action_index": policy.current,
        "predicted_action_is": (
            f"entry {policy.current} of the first of {settings.chunks} chunks drawn by the policy's own sampler "
            f"({policy.describe_sampler()}), each with a random stream of its own "
            "from (seed, episode, step, sample)"
        ),
    }


def _outcome(episode: Episode) -> dict[str, Any]:
    # Of the whole episode, whatever part of it is scored.
    found: dict[str, Any] = {
        "episode_length": len(episode),
        "outcome": sorted(episode.outcome),
        "executed_by": episode.executed_by,
    }
    if "success" in episode.outcome:
        found["episode_success"] = int(episode.outcome["success"].any())
    if "reward" in episode.outcome:
        found["episode_best_reward"] = float(episode.outcome["reward"].max())
    return found


def _made_with(policy: Policy) -> dict[str, Any]:
    return {
        "policy_config": policy.describe_config(),
        "policy_statistics": policy.describe_statistics(),
        "horizon": policy.horizon,
        "n_obs_steps": len(policy.observation_indices),
        "command": provenance.command_line(),
        "host": platform.node(),
        "device_name": policy.device_name,
        "threads": torch.get_num_threads(),
    }
