"""gym-pusht with an exact start state and a clean picture.

`PushTEnv.reset(options={"reset_to_state": s})` sets the block's position before its angle, about the centre of
gravity, and then steps the physics: the state that results is up to 90 px from `s`. `set_state` sets `s` itself.

A state is `(agent x, agent y, block x, block y [px], block angle [rad])`; y points down, as everywhere in PushT.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv

SIZE = 512  # px, the side of the world and of the native canvas
GOAL = np.array([256.0, 256.0, np.pi / 4])  # pose of the goal

Array = NDArray[Any]


@contextmanager
def quiet_import() -> Iterator[None]:
    """Without pygame's warning about pkg_resources, which a user can do nothing about."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*pkg_resources is deprecated.*")
        yield


def make_env() -> PushTEnv:
    """A bare PushT environment (no time limit, no checker) that renders off screen."""
    with quiet_import():
        from gym_pusht.envs.pusht import PushTEnv

        env = PushTEnv(obs_type="state", render_mode="rgb_array")
    env.reset(seed=0)
    return env


def set_state(env: PushTEnv, state: Array) -> None:
    """Put the world into `state` (5,) exactly, at rest, with no contact cached from before."""
    x, y, block_x, block_y, angle = (float(value) for value in state)
    env._setup()
    env.agent.position = (x, y)
    env.block.angle = angle  # first: turning about the centre of gravity moves the position
    env.block.position = (block_x, block_y)
    for body in (env.agent, env.block):
        env.space.reindex_shapes_for_body(body)


def get_state(env: PushTEnv) -> Array:
    """The state (5,) float64 of the world now, the angle in [0, 2π)."""
    return np.array([*env.agent.position, *env.block.position, env.block.angle % (2 * np.pi)])


def keypoints(env: PushTEnv) -> Array:
    """The block's 8 vertices (8, 2) [px], in the order of LeRobot's `observation.environment_state`."""
    return np.asarray(env.get_keypoints(env._block_shapes), dtype=np.float64)


def draw(env: PushTEnv) -> Array:
    """The native canvas (512, 512, 3) uint8 RGB: walls, goal, block and agent; no action marker, no contact points.

    What `PushTEnv._draw` draws, less pymunk's red dots where agent and block touch.
    """
    import pygame
    from gym_pusht.envs.pymunk_override import DrawOptions
    from pymunk.pygame_util import to_pygame

    screen = pygame.Surface((SIZE, SIZE))
    screen.fill((255, 255, 255))
    options = DrawOptions(screen)
    goal = env.get_goal_pose_body(env.goal_pose)
    for shape in env.block.shapes:
        corners = [to_pygame(goal.local_to_world(vertex), screen) for vertex in shape.get_vertices()]
        pygame.draw.polygon(screen, pygame.Color("LightGreen"), corners)
    options.flags = options.DRAW_SHAPES
    env.space.debug_draw(options)
    canvas: Array = pygame.surfarray.array3d(screen).transpose(1, 0, 2)
    return canvas


def observed_image(env: PushTEnv, height: int = 96, width: int = 96) -> Array:
    """The picture (height, width, 3) uint8 RGB that a camera of PushT's data sets sees."""
    image: Array = env._get_img(env._draw(), width=width, height=height, render_action=False)
    return image


def picture_difference(env: PushTEnv, picture: Array) -> float:
    """Mean absolute difference [1/255] between the world as a camera sees it and a picture (3, H, W) in [0, 1]."""
    seen = observed_image(env, *picture.shape[1:])
    return float(np.abs(seen - picture.transpose(1, 2, 0) * 255.0).mean())


def block_pose(points: Array) -> Array:
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


def pose_keypoints(pose: Array) -> Array:
    """The inverse of `block_pose`: keypoints (..., 8, 2) [px] of poses (..., 3)."""
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
