"""What a run is asked to do: the options of `dlscore compute`, and those of them that decide the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlscore.common.choices import check_choice, require
from dlscore.common.errors import UserError
from dlscore.episodes.replay import MODES
from dlscore.grid import Grid
from dlscore.scores.base import Scorer, check_scorer
from dlscore.scores.likelihood import Likelihood

__all__ = ["BLOCK_STEPS", "OBSERVATIONS", "Options", "Request", "RequestError", "Settings", "episode_path"]

OBSERVATIONS = ("recorded", "replayed")
BLOCK_STEPS = 10  # steps encoded and sampled together, and the most that a kill can lose


class RequestError(UserError):
    """An option or an output folder that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What decides the numbers in a cache, beside the policy and the data.

    scorers: the methods, each with its settings. resolution: cells a side of the grid. max_steps: score none after so many.
    chunks: drawn from the policy per step. replay: one of `replay.MODES`. observations: what the policy sees, one of
    OBSERVATIONS. every: score steps 0, every, 2 every, … of an episode. task: the text
    that a policy is told, if it takes one. Raises RequestError or GridError for values that are
    not allowed.
    """

    scorers: Sequence[Scorer] = (Likelihood(),)
    resolution: int = 50
    max_steps: int | None = None
    chunks: int = 8
    seed: int = 0
    replay: str = "actions"
    observations: str = "recorded"
    every: int = 1
    task: str = ""

    def __post_init__(self) -> None:
        Grid(self.resolution)
        for scorer in self.scorers:
            check_scorer(scorer)
        names = [scorer.name for scorer in self.scorers]
        require(
            "the scoring methods",
            ", ".join(names) or "none",
            "one or more, each once",
            0 < len(names) == len(set(names)),
            RequestError,
        )
        require("--chunks", self.chunks, "at least 1", self.chunks >= 1, RequestError)
        require(
            "--max-steps", self.max_steps, "at least 1", self.max_steps is None or self.max_steps >= 1, RequestError
        )
        require("--every", self.every, "at least 1", self.every >= 1, RequestError)
        require("--seed", self.seed, "at least 0", self.seed >= 0, RequestError)
        check_choice("--replay", self.replay, MODES, RequestError)
        check_choice("--observations", self.observations, OBSERVATIONS, RequestError)

    def count_steps(self, length: int) -> int:
        """How many steps of an episode of this length are scored: the rows of its cache."""
        return len(range(0, self.reach(length), self.every))

    def reach(self, length: int) -> int:
        """How many steps of an episode of this length are replayed, of which every `every`th is scored."""
        return length if self.max_steps is None else min(self.max_steps, length)

    def steps_of(self, rows: slice) -> slice:
        """The steps of the episode that rows of the cache are of."""
        return slice(rows.start * self.every, rows.stop * self.every, self.every)


@dataclass(frozen=True)
class Options:
    """What to do with a cache that exists already; this does not decide the numbers.

    force: start over whatever is there. replace_stale: start over only where settings differ or the cache is damaged.
    wait: seconds to wait for another run that is writing it. replay_from: a folder of caches of the same episodes under
    another policy, whose replay and frames are taken.
    """

    force: bool = False
    replace_stale: bool = False
    wait: float = 0.0
    replay_from: Path | None = None

    @property
    def rewrites(self) -> bool:
        """Whether an existing cache may be replaced."""
        return self.force or self.replace_stale


@dataclass(frozen=True)
class Request:
    """The options of `dlscore compute` as they are written on the command line."""

    policy_path: str
    dataset_repo_id: str | None = None
    dataset_root: str | None = None
    policy_revision: str | None = None
    dataset_revision: str | None = None
    episodes: str = "0"
    methods: Sequence[str] = ("likelihood",)
    likelihood: Mapping[str, Any] = field(default_factory=dict)
    noise_pred: Mapping[str, Any] = field(default_factory=dict)
    resolution: int = 50
    max_steps: int | None = None
    every: int = 1
    chunks: int = 8
    seed: int = 0
    replay: str = "actions"
    observations: str = "recorded"
    block_pose: str = "auto"
    rename_map: str = ""
    task: str | None = None
    device: str = "auto"
    batch_size: int | None = None
    output_dir: Path = Path("data/cache")


def episode_path(folder: Path, index: int) -> Path:
    """Where the cache of an episode is stored."""
    return folder / f"episode_{index:03d}.h5"
