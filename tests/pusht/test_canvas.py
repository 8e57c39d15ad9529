"""The strokes are gym-pusht's, in its version and an older one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dlscore.pusht.canvas import Canvas, fill_rounding, fill_truncating
from dlscore.pusht.env import make_env, set_state

positions, angles = st.floats(60, 450), st.floats(0, 2 * np.pi, exclude_max=True)


@settings(max_examples=20, deadline=None)
@given(x=positions, y=positions, angle=angles, agent_x=positions, agent_y=positions)
def test_the_strokes_are_gym_pushts(x, y, angle, agent_x, agent_y):
    import pygame

    env, canvas = make_env(), Canvas(fill_rounding)
    set_state(env, np.array([agent_x, agent_y, x, y, angle]))
    canvas.draw(np.array([x, y, angle]), np.array([agent_x, agent_y]))
    np.testing.assert_array_equal(canvas.pixels(), pygame.surfarray.array3d(env._draw()))


def test_the_older_fill_truncates():
    # By hand: the edge from (9, 0) to (4, 3) is at x = 9 - 5y/3, truncated towards 9: 9, 8, 6, 4.
    import pygame

    screen = pygame.Surface((512, 512), depth=32)
    fill_truncating(screen, (255, 0, 0), [(9, 0), (4, 3), (12, 3)])
    filled = pygame.surfarray.array3d(screen)[:, :4, 0] > 0
    assert [(int(row.argmax()), int(row.sum())) for row in filled.T] == [(9, 1), (8, 3), (6, 6), (4, 9)]
