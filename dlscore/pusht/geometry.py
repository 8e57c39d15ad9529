"""The block's geometry: poses, keypoints and angles. A pose is (x, y [px], angle [rad]), y down."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from dlscore.common.arrays import Array

if TYPE_CHECKING:
    pass


@contextmanager
def quiet_import() -> Iterator[None]:
    """Silence pygame's warning about pkg_resources, about which a user can do nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pkg_resources is deprecated.*")
        yield


def pose_from_keypoints(points: Array) -> Array:
    """Pose (x, y [px], angle [rad]) of the block from its 8 keypoints (8, 2) [px].

    Least-squares rotation between the vertices of the block at the origin and the points
    (Kabsch 1976, in the plane, where it has a closed form).
    """
    body = np.asarray(_vertices_at_origin())
    points = np.asarray(points, dtype=np.float64).reshape(8, 2)
    b, p = body - body.mean(axis=0), points - points.mean(axis=0)
    angle = np.arctan2(np.sum(b[:, 0] * p[:, 1] - b[:, 1] * p[:, 0]), np.sum(b * p))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y = points.mean(axis=0) - rotation @ body.mean(axis=0)
    return np.array([x, y, angle % (2 * np.pi)])


def keypoints_of_pose(pose: Array) -> Array:
    """The inverse of `pose_from_keypoints`: keypoints (…, 8, 2) [px] of poses (…, 3)."""
    pose = np.asarray(pose, dtype=np.float64)
    body = np.asarray(_vertices_at_origin())
    c, s = np.cos(pose[..., 2, None]), np.sin(pose[..., 2, None])
    x = c * body[:, 0] - s * body[:, 1] + pose[..., 0, None]
    y = s * body[:, 0] + c * body[:, 1] + pose[..., 1, None]
    return np.stack([x, y], axis=-1)


def block_centroid() -> Array:
    """(2,) px from the block's position to the centre of its area, at angle 0."""
    bar, stem = np.asarray(_vertices_at_origin()).reshape(2, 4, 2).mean(axis=1)
    centre: Array = (120 * 30 * bar + 30 * 90 * stem) / (120 * 30 + 30 * 90)
    return centre


def angle_difference(a: Array, b: Array) -> Array:
    """`a - b` [rad] folded into [-π, π)."""
    folded: Array = (np.asarray(a) - np.asarray(b) + np.pi) % (2 * np.pi) - np.pi
    return folded


@functools.cache
def _vertices_at_origin() -> list[tuple[float, float]]:
    # gym-pusht's T (scale 30, length 4) as pymunk stores it: each rectangle's hull in its own order.
    import pymunk

    with quiet_import():
        from gym_pusht.envs.pusht import PushTEnv
    _, shapes = PushTEnv.add_tee(pymunk.Space(), (0, 0), 0)
    return [tuple(v) for shape in shapes for v in shape.get_vertices()]
