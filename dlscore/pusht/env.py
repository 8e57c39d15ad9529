"""gym-pusht with an exact start state and a clean picture.

`PushTEnv.reset(options={"reset_to_state": s})` sets the block's position before its angle, about the centre of
gravity, and then steps the physics: the state that results is up to 90 px from `s`. `set_state` sets `s` itself.

A state is `(agent x, agent y, block x, block y [px], block angle [rad])`; y points down, as everywhere in PushT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.pusht.geometry import quiet_import

if TYPE_CHECKING:
    from gym_pusht.envs.pusht import PushTEnv


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
    env.block.angle = angle  # before the position, because rotation about the centre of gravity moves it
    env.block.position = (block_x, block_y)
    for body in (env.agent, env.block):
        env.space.reindex_shapes_for_body(body)


def get_state(env: PushTEnv) -> Array:
    """The state (5,) float64 of the world now, the angle in [0, 2π)."""
    return np.array([*env.agent.position, *env.block.position, env.block.angle % (2 * np.pi)])


def get_keypoints(env: PushTEnv) -> Array:
    """The block's 8 vertices (8, 2) [px], in the order of LeRobot's `observation.environment_state`."""
    return np.asarray(env.get_keypoints(env._block_shapes), dtype=np.float64)


def render_canvas(env: PushTEnv) -> Array:
    """The native canvas (512, 512, 3) uint8 RGB: walls, goal, block and agent; no action marker, no contact points.

    What `PushTEnv._draw` draws, without pymunk's red dots where agent and block touch.
    """
    import pygame
    from gym_pusht.envs.pymunk_override import DrawOptions
    from pymunk.pygame_util import to_pygame

    screen = pygame.Surface((WORLD_SIZE, WORLD_SIZE))
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


def render_image(env: PushTEnv, height: int = 96, width: int = 96) -> Array:
    """The picture (height, width, 3) uint8 RGB that a camera of PushT's data sets sees."""
    image: Array = env._get_img(env._draw(), width=width, height=height, render_action=False)
    return image


def picture_difference(env: PushTEnv, picture: Array) -> float:
    """Mean absolute difference [1/255] between the world as a camera sees it and a picture (3, H, W) uint8."""
    seen = render_image(env, *picture.shape[1:])
    return float(np.abs(seen.astype(np.float64) - picture.transpose(1, 2, 0)).mean())
