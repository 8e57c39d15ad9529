"""What a rollout is asked to do: which seeds, how many environments together, how many steps at most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlscore.common.choices import require
from dlscore.common.errors import UserError

__all__ = ["EPISODE_LENGTH", "RolloutError", "RolloutRequest", "RolloutSettings", "parse_seeds"]

EPISODE_LENGTH = 300  # steps; LeRobot's and gym-pusht's own time limit
LARGEST_SEED = 2**32 - 1  # that numpy and torch both take
MOST_SEEDS = 100_000


class RolloutError(UserError):
    """A rollout that cannot be done as asked."""


@dataclass(frozen=True)
class RolloutSettings:
    """Which rollouts: with the policy and the device, this decides every number.

    seeds: of the environments, one rollout each, in this order. environments: how many act together, in batches of one
    network evaluation, as LeRobot's `--eval.batch_size`; a batch draws its noise from one stream, which its first seed
    starts. max_steps: the time limit. Raises RolloutError for values that are not allowed.
    """

    seeds: Sequence[int]
    environments: int = 1
    max_steps: int = EPISODE_LENGTH

    def __post_init__(self) -> None:
        distinct = 0 < len(self.seeds) == len(set(self.seeds)) <= MOST_SEEDS
        require("--seeds", _shown(self.seeds), f"1 to {MOST_SEEDS} seeds, each once", distinct, RolloutError)
        fits = all(0 <= seed <= LARGEST_SEED for seed in self.seeds)
        require("--seeds", _shown(self.seeds), f"0 to {LARGEST_SEED}", fits, RolloutError)
        require("--environments", self.environments, "1 to 1000", 1 <= self.environments <= 1000, RolloutError)
        require("--max-steps", self.max_steps, "1 to 100000", 1 <= self.max_steps <= 100_000, RolloutError)

    @property
    def batches(self) -> list[tuple[int, ...]]:
        """The seeds that act together."""
        size = self.environments
        return [tuple(self.seeds[start : start + size]) for start in range(0, len(self.seeds), size)]


@dataclass(frozen=True)
class RolloutRequest:
    """The options of `dlscore rollout`. force: start over whatever is in `folder`; wait: seconds for another run's lock."""

    policy_path: str
    settings: RolloutSettings
    folder: Path
    policy_revision: str | None = None
    device: str = "auto"
    force: bool = False
    wait: float = 0.0


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of `0-9,12`, in the order in which they are given; RolloutError for anything else."""
    found: list[int] = []
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", item, re.ASCII)
        if match is None:
            raise RolloutError(f"--seeds {text!r} is not understood at {item!r}; write such as 3 or 0-99 or 0-9,12")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise RolloutError(f"--seeds {text!r} has {item.strip()}, which runs backwards; write {last}-{first}")
        if last - first >= MOST_SEEDS:
            raise RolloutError(f"--seeds {text!r} has {last - first + 1} seeds; {MOST_SEEDS} are allowed")
        found += range(first, last + 1)
    return tuple(found)


def _shown(seeds: Sequence[int]) -> str:
    listed = ",".join(map(str, seeds[:5]))
    return listed + (f",… ({len(seeds)})" if len(seeds) > 5 else "")
