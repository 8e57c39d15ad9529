"""The block's pose from one picture of PushT, by render-and-compare: gym-pusht's own strokes, moved until they fit.

The picture is small (96 × 96 in the public data sets), sampled from a 512 × 512 canvas without smoothing, and the canvas is
drawn at integer px. So a region of poses gives the same picture. The result is the mean over that region, weighted by
how well each pose fits, instead of the first pose that a search finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.pusht.canvas import (
    AGENT_COLOUR,
    AGENT_EDGE_COLOUR,
    BLOCK_COLOUR,
    BLOCK_EDGE_COLOUR,
    FILLS,
    GOAL_COLOUR,
    WALL_COLOUR,
    WHITE_COLOUR,
    Canvas,
)
from dlscore.pusht.geometry import block_centroid, keypoints_of_pose

SMALLEST = 24  # px of a picture's side; below it poses are too inexact
AREA = 5000  # px² of the block that must be seen; it has 6,300 and its outline, of which the agent may hide 700
OUTSIDE = 20.0  # px by which a corner may leave the canvas: walls hold a block inside, in human data to 7 px
ANGLES = 24  # starting angles if none is known
SEARCHED = 3  # so many of the best are refined
UNIT = np.array([1.0, 1.0, 1 / 75])  # px, px, rad: what moves the block's edge by about a px
WIDTHS = (4.0, 2.0, 1.0, 0.7, 0.5)  # deviations of the poses drawn about the best one, round by round, in units
DRAWS = 64  # poses a round
TEMPERATURE = 0.5  # in fully wrong pixel channels: a pose that fits worse by so many has weight 1/e


@dataclass(frozen=True)
class ImagePose:
    """pose: (x, y [px], angle [rad]) of the block; residual: mean absolute difference from the picture there [1/255]."""

    pose: Array
    residual: float


class Comparer:
    """The difference between a picture (H, W, 3) [0..255] and PushT with its agent at (2,) px, for poses of the block."""

    def __init__(self, image: Array, agent: Array, fill: Callable[..., object] = FILLS[0]) -> None:
        self.image = np.asarray(image, dtype=np.float32)
        self._agent, self._canvas = agent, Canvas(fill)
        self._rows, self._columns = (_taps(size) for size in self.image.shape[:2])
        self._canvas.draw(None, agent)
        self._without = self._differ(slice(None), slice(None))
        self.empty = float(self._without.sum())  # the difference if there were no block

    def __call__(self, pose: Array) -> float:
        """Sum over pixels and channels of the absolute difference [0..255]."""
        self._canvas.draw(pose, self._agent)
        corners = keypoints_of_pose(pose)
        low, high = corners.min(axis=0) - 4, corners.max(axis=0) + 4  # the strokes' own width
        columns, rows = (
            slice(*np.searchsorted(places[:, 0], (low[axis] - 1, high[axis])))
            for axis, (places, _) in enumerate((self._columns, self._rows))
        )
        return self.empty - float(self._without[rows, columns].sum()) + float(self._differ(rows, columns).sum())

    def _differ(self, rows: slice, columns: slice) -> Array:
        (y, y_part), (x, x_part) = ((at[part], weight[part]) for (at, weight), part in
                                    ((self._rows, rows), (self._columns, columns)))  # fmt: skip
        taps = self._canvas.pixels()[x.ravel()][:, y.ravel()].astype(np.float32).reshape(len(x), 2, len(y), 2, 3)
        across = taps[:, 0] + x_part[:, None, None, None] * (taps[:, 1] - taps[:, 0])
        drawn = across[:, :, 0] + y_part[:, None] * (across[:, :, 1] - across[:, :, 0])
        return np.asarray(np.abs(drawn.transpose(1, 0, 2) - self.image[rows, columns]).sum(axis=2))


def _taps(size: int) -> tuple[Array, Array]:
    # The two canvas pixels under each pixel of the picture (n, 2), and the second one's part: cv2's INTER_LINEAR.
    at = (np.arange(size) + 0.5) * WORLD_SIZE / size - 0.5
    low = np.floor(at)
    taps = np.clip(np.stack([low, low + 1], axis=1), 0, WORLD_SIZE - 1).astype(np.intp)
    return taps, (at - low).astype(np.float32)


def fit(image: Array, agent: Array, start: Array | None = None) -> ImagePose | None:
    """Pose of the block in a picture (H, W, 3) [0..255] whose agent is at (2,) px; None if no complete block is visible.

    `start` (3,) is a nearby pose, such as that of the previous picture; without one, every angle is tried.
    """
    if min(np.shape(image)[:2]) < SMALLEST:
        return None
    # Goal and walls show which pygame drew the picture.
    compare = min((Comparer(image, agent, fill) for fill in FILLS), key=lambda each: each.empty)
    if start is None:
        found = [_descend(compare, pose) for pose in _starts(compare)]
        if not found:
            return None
        best, cost = min(found, key=lambda each: each[1])
    else:
        best, cost = start, compare(start)
    rng = np.random.default_rng(0)
    for width in WIDTHS:
        draws = best + rng.standard_normal((DRAWS, 3)) * (width * UNIT)
        costs = np.array([compare(pose) for pose in draws])
        if costs.min() < cost:
            best, cost = draws[costs.argmin()], costs.min()
    weights = np.exp(-(costs - cost) / (255 * TEMPERATURE))
    pose = (weights @ draws + best) / (weights.sum() + 1)
    corners = keypoints_of_pose(pose)
    if corners.min() < -OUTSIDE or corners.max() > WORLD_SIZE + OUTSIDE:
        return None
    return ImagePose(np.array([*pose[:2], pose[2] % (2 * np.pi)]), compare(pose) / compare.image.size)


def _descend(compare: Comparer, pose: Array) -> tuple[Array, float]:
    # Nelder-Mead, because the cost is a staircase without a gradient.
    from scipy.optimize import minimize

    for size in (6.0, 1.5):
        found = minimize(
            lambda place: compare(place * UNIT), pose / UNIT, method="Nelder-Mead",
            options={"initial_simplex": pose / UNIT + np.vstack([np.zeros(3), np.eye(3) * size]), "xatol": 0.03,
                     "fatol": 10.0, "maxfev": 80},
        )  # fmt: skip
        pose = found.x * UNIT
    return pose, float(found.fun)


def _starts(compare: Comparer) -> list[Array]:
    # The block's gray pixels give its centre; every angle about it is tried, and the best few are kept.
    palette = np.array(
        [BLOCK_COLOUR, BLOCK_EDGE_COLOUR, WHITE_COLOUR, GOAL_COLOUR, WALL_COLOUR, AGENT_COLOUR, AGENT_EDGE_COLOUR]
    )
    height, width = compare.image.shape[:2]
    nearest = ((compare.image[:, :, None] - palette) ** 2).sum(axis=-1).argmin(axis=-1)
    rows, columns = np.nonzero(nearest < 2)
    if len(rows) * WORLD_SIZE**2 / (height * width) < AREA:
        return []
    centre = np.array([(columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height]) * WORLD_SIZE
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    c, s = np.cos(angles), np.sin(angles)
    x, y = block_centroid()
    poses = np.stack([centre[0] - (c * x - s * y), centre[1] - (s * x + c * y), angles], axis=1)
    return sorted(poses, key=compare)[:SEARCHED]
