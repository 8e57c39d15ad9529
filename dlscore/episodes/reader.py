"""The protocol of data set readers: what each format must offer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from dlscore.common.arrays import Array


class Reader(Protocol):
    """A data set in a format of its own. `features` maps names to shapes, `compressed` names those that are video."""

    name: str
    revision: str
    fps: float
    features: dict[str, tuple[int, ...]]
    compressed: tuple[str, ...]

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> list[int]: ...

    def read(self, index: int, names: Iterable[str]) -> dict[str, Array]: ...
