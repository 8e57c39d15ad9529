"""What happened to one episode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dlscore.cache.drift import drift_warning
from dlscore.cache.reader import EpisodeCache

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What happened to one episode: `state` is computed, resumed, extended (methods were added) or current.

    seconds, evaluations: spent by this run. drift: the largest of each part of the replay's drift from the record.
    """

    path: Path
    episode: int
    state: str
    steps: int
    seconds: float
    evaluations: int
    pose_source: str
    drift: dict[str, float]

    @property
    def warning(self) -> str:
        """What to tell the user about the replay, or ""."""
        return drift_warning(self.episode, self.drift)

    @classmethod
    def of_current(cls, cache: EpisodeCache) -> Outcome:
        """That of a cache that is already what was asked for."""
        source = str(cache.attrs.get("pose_source", "unknown"))
        return cls(cache.path, cache.episode, "current", cache.steps, 0.0, 0, source, cache.largest_drift())
