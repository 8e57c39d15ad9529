"""The action grid: N × N square cells that tile PushT's action space [0, 512]² px, indexed [y, x], y down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.errors import UserError
from dlscore.common.world import WORLD_SIZE

RESOLUTIONS = (2, 1024)  # the smallest and the largest number of cells a side


class GridError(UserError):
    """A grid that is too coarse or too fine."""


@dataclass(frozen=True)
class Grid:
    """`resolution` cells a side; scores on it are arrays (N, N) whose [j, i] belongs to the action (x[i], y[j])."""

    resolution: int

    def __post_init__(self) -> None:
        low, high = RESOLUTIONS
        if not low <= self.resolution <= high:
            raise GridError(
                f"--action-resolution {self.resolution} is not allowed; choose {low} to {high} cells a side"
            )

    @property
    def cell(self) -> float:
        """Side of a cell [px]."""
        return WORLD_SIZE / self.resolution

    @property
    def cell_area(self) -> float:
        """Area of a cell [px²]: exp(log density) · cell_area is the mass in it."""
        return self.cell**2

    @cached_property
    def centres(self) -> Array:
        """(N,) cell centres [px], the same along x and y."""
        return (np.arange(self.resolution) + 0.5) * self.cell

    @cached_property
    def actions(self) -> Array:
        """(N, N, 2) the action (x, y) [px] at each cell's centre."""
        return self.subdivide(1)

    def subdivide(self, fine: int) -> Array:
        """(N·fine, N·fine, 2) centres (x, y) [px] of the squares that `fine`² to a cell make."""
        points = (np.arange(self.resolution * fine) + 0.5) * self.cell / fine
        return np.stack(np.meshgrid(points, points), axis=-1)
