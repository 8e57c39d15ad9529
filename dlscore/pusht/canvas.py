"""PushT's picture for any pose, stroke by stroke as gym-pusht draws it, without a physics world.

Two fills of a polygon exist. The installed pygame rounds both ends of a row outwards; the pygame of 2023, which drew the
public PushT data sets, truncated them. A picture is compared with both, because the difference shifts the
fitted pose by a quarter of a px.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import GOAL_POSE, WORLD_SIZE
from dlscore.pusht.geometry import keypoints_of_pose, quiet_import

Point = tuple[int, int]
Colour = tuple[int, int, int]

WHITE_COLOUR, GOAL_COLOUR, WALL_COLOUR = (255, 255, 255), (144, 238, 144), (211, 211, 211)
BLOCK_COLOUR, BLOCK_EDGE_COLOUR = (143, 163, 184), (119, 136, 153)
AGENT_COLOUR, AGENT_EDGE_COLOUR = (78, 126, 255), (65, 105, 225)


class Canvas:
    """A 512 × 512 canvas with walls and goal; `draw` puts block and agent on it."""

    def __init__(self, fill: Callable[[Any, Colour, Sequence[Point]], object]) -> None:
        with quiet_import():
            import pygame

        self._pygame, self._fill = pygame, fill
        self._screen = pygame.Surface((WORLD_SIZE, WORLD_SIZE), depth=32)
        self._screen.fill(WHITE_COLOUR)
        for corners in _corners(GOAL_POSE):
            self._fill(self._screen, GOAL_COLOUR, corners)
        self._background = self._screen.copy()
        # The walls are drawn over block and agent, so they are kept apart, on a transparent ground.
        self._screen.fill(WHITE_COLOUR)
        ends = [(5, 5), (506, 5), (506, 506), (5, 506)]
        for one, two in ((3, 0), (0, 1), (1, 2), (3, 2)):
            self._segment(ends[one], ends[two], WALL_COLOUR)
        self._walls = self._screen.copy()
        self._walls.set_colorkey(WHITE_COLOUR)

    def draw(self, pose: Array | None, agent: Array) -> None:
        """The block at `pose` (3,), if any, and the agent (2,) over it."""
        self._screen.blit(self._background, (0, 0))
        for corners in [] if pose is None else _corners(pose):
            self._fill(self._screen, BLOCK_COLOUR, corners)
            for one, two in zip(corners, [*corners[1:], corners[0]], strict=True):
                self._segment(one, two, BLOCK_EDGE_COLOUR)
        centre = (round(float(agent[0])), round(float(agent[1])))
        self._pygame.draw.circle(self._screen, AGENT_EDGE_COLOUR, centre, 15)
        self._pygame.draw.circle(self._screen, AGENT_COLOUR, centre, 11)
        self._screen.blit(self._walls, (0, 0))

    def pixels(self) -> Array:
        """(512, 512, 3) uint8 RGB view [x, y, channel] of the canvas."""
        view: Array = self._pygame.surfarray.pixels3d(self._screen)
        return view

    def _segment(self, one: Point, two: Point, colour: Colour) -> None:
        # gym-pusht's DrawOptions.draw_fat_segment with radius 2.
        draw = self._pygame.draw
        draw.lines(self._screen, colour, False, [one, two], 4)
        across = abs(two[1] - one[1]), abs(two[0] - one[0])
        length = float(np.hypot(*across))
        if length:
            x, y = (round(2 * part / length) for part in across)
            self._fill(self._screen, colour, [(one[0] - x, one[1] - y), (one[0] + x, one[1] + y),
                                              (two[0] + x, two[1] + y), (two[0] - x, two[1] - y)])  # fmt: skip
            draw.circle(self._screen, colour, one, 2)
            draw.circle(self._screen, colour, two, 2)


def _corners(pose: Array) -> list[list[Point]]:
    points = keypoints_of_pose(pose)
    return [[(round(float(x)), round(float(y))) for x, y in part] for part in (points[:4], points[4:])]


def fill_truncating(screen: Any, colour: Colour, corners: Sequence[Point]) -> None:
    """Fill a convex polygon row by row, the ends truncated towards the upper end of their edge (pygame before 2.1.3)."""
    import pygame

    xs, ys = np.array(corners).T
    left, top = max(int(xs.min()), 0), max(int(ys.min()), 0)
    view = pygame.surfarray.pixels2d(screen)[left : xs.max() + 1, top : ys.max() + 1]
    if not view.size:
        return
    rows = np.arange(top, top + view.shape[1])
    low, high = np.full(len(rows), WORLD_SIZE), np.full(len(rows), -1)
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y1 > y2:
            x1, y1, x2, y2 = x2, y2, x1, y1
        part = slice(max(y1 - top, 0), max(y2 - top + 1, 0))
        # A horizontal edge counts with both its ends.
        ends = (x1, x2) if y1 == y2 else (x1 + np.trunc((rows[part] - y1) * (x2 - x1) / (y2 - y1)).astype(int),)
        for x in ends:
            low[part], high[part] = np.minimum(low[part], x), np.maximum(high[part], x)
    columns = np.arange(left, left + view.shape[0])[:, None]
    view[(columns >= low) & (columns <= high)] = screen.map_rgb(colour)


def fill_rounding(screen: Any, colour: Colour, corners: Sequence[Point]) -> None:
    """Fill a polygon as the installed pygame does."""
    import pygame

    pygame.draw.polygon(screen, colour, corners)


FILLS = (fill_truncating, fill_rounding)
