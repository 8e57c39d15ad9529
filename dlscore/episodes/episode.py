"""One expert episode in memory, and the names and errors that all data sets share.

All positions are px with y down, angles rad; pictures are uint8 CHW.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.errors import UserError

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
IMAGE = "observation.image"
FULL_STATE = ("full_state", "observation.full_state")  # names under which a data set may hold the 5-number state


class DatasetError(UserError):
    """A data set that cannot be found, read or used."""


@dataclass(frozen=True)
class Episode:
    """One expert episode of T steps.

    action, agent: (T, 2) px as recorded. block: (T, 3) x, y, angle, or (1, 3) where only the start is known;
    `pose_source` says from which source. observations: feature name -> (T, …) as the data set gives it, before
    normalisation; pictures may end with the last step that is scored. pictures: (K, 3, H, W) uint8 of the camera that shows
    the world as gym-pusht draws it, or None. pose_note: why a better source of the pose was skipped. outcome: what the data
    set has of `outcome.OUTCOMES`, (T,) each. seed: of gym-pusht, where a replay starts from it. executed_by: the policy whose
    own episode it is, or "" of an expert's.
    """

    index: int
    fps: float
    action: Array
    agent: Array
    block: Array
    pose_source: str
    observations: dict[str, Array]
    pictures: Array | None = None
    pose_note: str = ""
    outcome: dict[str, Array] = field(default_factory=dict)
    seed: int | None = None
    executed_by: str = ""

    def __len__(self) -> int:
        return len(self.action)

    @property
    def state(self) -> Array:
        """(T, 5) agent x, y, block x, y, angle; (1, 5) where the block is known at the start only."""
        return np.concatenate([self.agent[: len(self.block)], self.block], axis=1)

    def fingerprint(self) -> str:
        """SHA-256 of everything that scores depend on, so that changed data are never mistaken for the same."""
        digest = hashlib.sha256()
        arrays = {"action": self.action, "state": self.state, **self.observations}
        if len(self.block) < len(self):
            arrays["agent"] = self.agent
        if self.seed is not None:
            arrays["seed"] = np.array([self.seed])
        for name, values in sorted(arrays.items()):
            unit = to_unit(values[:0])
            digest.update(f"{name} {values.shape} {unit.dtype.str}".encode())
            for row in values:  # pictures as the policy sees them, one at a time
                digest.update(np.ascontiguousarray(to_unit(row)).tobytes())
        return digest.hexdigest()


def to_unit(values: Array) -> Array:
    """Pictures (uint8) as LeRobot gives them to a policy: float32 in [0, 1]. Other values are returned as they are."""
    return values.astype(np.float32) / np.float32(255) if values.dtype == np.uint8 else values


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether a feature of this shape is a picture, CHW."""
    return len(shape) == 3 and shape[0] == 3


def check_episode(episode: Episode, name: str) -> Episode:
    """The episode itself. Raises DatasetError for ragged, empty or non-finite arrays, and for pictures that are not uint8."""
    n = len(episode.action)
    if n == 0 or episode.agent.shape != (n, 2) or episode.block.shape not in ((n, 3), (1, 3)):
        raise DatasetError(
            f"episode {episode.index} of {name} has {n} actions, agent positions {episode.agent.shape} and block poses "
            f"{episode.block.shape}; a PushT episode has T actions, (T, 2) and (T, 3)"
        )
    for key, values in {"action": episode.action, "state": episode.state, **episode.observations}.items():
        if is_image(values.shape[1:]):
            if values.dtype != np.uint8 or not 0 < len(values) <= n:
                raise DatasetError(f"'{key}' of episode {episode.index} of {name} is not a uint8 picture for each step")
            continue
        if len(values) not in (n, len(episode.block)):
            raise DatasetError(f"'{key}' of episode {episode.index} of {name} has {len(values)} steps, its actions {n}")
        if not np.isfinite(values).all():
            raise DatasetError(f"'{key}' of episode {episode.index} of {name} holds non-finite values")
    return episode
