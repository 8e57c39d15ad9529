"""The protocol of data set readers: what each format must offer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from dlscore.common.arrays import Array


class Reader(Protocol):
    """A data set in a format of its own. `features` maps names to shapes, `compressed` names those that are video.

    `actor` is the policy that acted the episodes, or "" if an expert did. `files` lists every file that an episode is read
    from. `read` returns numeric features (T, …) float64. `pictures` returns (K, 3, H, W) uint8 of a camera, all steps or
    those before `stop`. Both raise DatasetError for what is missing or damaged.
    """

    name: str
    revision: str
    fps: float
    features: dict[str, tuple[int, ...]]
    compressed: tuple[str, ...]
    actor: str

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> list[int]: ...

    def files(self, index: int) -> list[Path]: ...

    def read(self, index: int, names: Iterable[str]) -> dict[str, Array]: ...

    def pictures(self, index: int, name: str, stop: int | None = None) -> Array: ...
