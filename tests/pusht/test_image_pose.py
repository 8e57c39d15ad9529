"""A picture gives the block's pose back, or none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlscore.episodes import block_pose
from dlscore.pusht.canvas import FILLS, Canvas, fill_rounding
from dlscore.pusht.env import make_env, render_image, set_state
from dlscore.pusht.geometry import angle_difference
from dlscore.pusht.image_pose import Comparer, fit

positions, angles = st.floats(60, 450), st.floats(0, 2 * np.pi, exclude_max=True)


@settings(max_examples=20, deadline=None)
@given(x=positions, y=positions, angle=angles)
def test_the_difference_is_that_of_the_whole_picture(x, y, angle):
    # The comparer draws a part of the picture and knows the rest; cv2 rounds, so a level is allowed.
    agent, pose = np.array([100.0, 400.0]), np.array([x, y, angle])
    env = make_env()
    set_state(env, np.array([*agent, 200.0, 250.0, 1.0]))
    picture = render_image(env).astype(np.float64)
    set_state(env, np.array([*agent, *pose]))
    whole = np.abs(render_image(env) - picture).mean()
    assert Comparer(picture, agent, fill_rounding)(pose) / picture.size == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("seed", range(3))
def test_a_picture_gives_its_pose_back(fill, seed):
    import cv2

    rng = np.random.default_rng(seed)
    pose, agent = rng.uniform([120, 120, 0], [400, 400, 2 * np.pi]), rng.uniform(40, 470, 2)
    canvas = Canvas(fill)
    canvas.draw(pose, agent)
    found = fit(cv2.resize(np.ascontiguousarray(canvas.pixels().transpose(1, 0, 2)), (96, 96)), agent)
    assert np.hypot(*(found.pose[:2] - pose[:2])) < 1
    assert abs(angle_difference(found.pose[2], pose[2])) < np.radians(1)
    assert found.residual < block_pose.LIMIT


@pytest.mark.parametrize(
    "pose", [(250, 530, 1.5), (-30, 250, 0.3), (0, 250, 0.3), (10, 250, 0.3), (500, 500, 0.3), (505, 250, 4.7)]
)
def test_a_block_that_leaves_the_picture_has_no_pose(pose):
    # What is seen of it fits another pose as well: a residual says nothing of that.
    import cv2

    canvas, agent = Canvas(fill_rounding), np.array([300.0, 300.0])
    canvas.draw(np.array(pose, dtype=float), agent)
    assert fit(cv2.resize(np.ascontiguousarray(canvas.pixels().transpose(1, 0, 2)), (96, 96)), agent) is None


def test_a_picture_without_a_block_has_no_pose():
    canvas = Canvas(fill_rounding)
    canvas.draw(None, np.array([100.0, 100.0]))
    assert fit(np.full((96, 96, 3), 255.0), np.array([100.0, 100.0])) is None
