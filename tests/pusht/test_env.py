"""The environment: exact states, y down, frames without contact points."""

import tomllib
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT

from dlscore.pusht.env import get_keypoints, get_state, make_env, render_canvas, set_state
from dlscore.pusht.geometry import keypoints_of_pose

angles = st.floats(0, 2 * np.pi, exclude_max=True)
positions = st.floats(50, 450)


@settings(max_examples=25, deadline=None)
@given(x=positions, y=positions, block_x=positions, block_y=positions, angle=angles)
def test_the_state_that_is_set_is_the_state(x, y, block_x, block_y, angle):
    state = np.array([x, y, block_x, block_y, angle])
    env = make_env()
    set_state(env, state)
    np.testing.assert_allclose(get_state(env), state, atol=1e-9)


def test_the_environments_own_reset_is_still_not_exact():
    # If this fails, gym-pusht has changed and `set_state` may go.
    state = np.array([100.0, 100.0, 200.0, 300.0, 1.0])
    reset, _ = make_env().reset(options={"reset_to_state": state})
    assert np.abs(reset - state).max() > 1


def test_goal_of_the_environment_is_where_the_picture_shows_it():
    env = make_env()
    set_state(env, np.array([100.0, 400.0, 400.0, 80.0, 0.0]))
    image = render_canvas(env)
    y, x = np.nonzero((image == [65, 105, 225]).all(axis=-1))  # the agent's royal blue
    assert x.mean() + 0.5 == pytest.approx(100, abs=1)
    assert y.mean() + 0.5 == pytest.approx(400, abs=1)  # y points down
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 7  # no anti-aliasing, no action marker


def test_frames_are_the_environments_own_less_the_contact_points(dataset):
    import pygame

    env = make_env()
    episode = dataset.load(0, [])
    set_state(env, episode.state[0])
    touched = 0
    for action in episode.action:
        theirs, ours = pygame.surfarray.array3d(env._draw()).transpose(1, 0, 2), render_canvas(env)
        differs = (theirs != ours).any(axis=-1)
        touched += differs.any()
        assert differs.sum() < 300  # a dot or two of radius 5
        assert not differs.any() or [231, 76, 60] in theirs[differs].tolist()  # pymunk's red
        assert len(np.unique(ours.reshape(-1, 3), axis=0)) <= 7
        env.step(action)
    assert touched  # the agent did push the block


def test_keypoints_are_the_environments_own():
    env = make_env()
    state = np.array([50.0, 60.0, 200.0, 300.0, 2.5])
    set_state(env, state)
    np.testing.assert_allclose(keypoints_of_pose(state[2:]), get_keypoints(env), atol=1e-9)


def test_actions_are_world_coordinates_with_y_down():
    env = make_env()
    set_state(env, np.array([256.0, 100.0, 100.0, 400.0, 0.0]))
    for _ in range(10):
        env.step(np.array([256.0, 180.0]))
    assert env.agent.position[1] == pytest.approx(180, abs=2)
    rows = np.nonzero((render_canvas(env) == [65, 105, 225]).all(axis=-1))[0]
    assert rows.mean() + 0.5 == pytest.approx(180, abs=3)  # further down the picture than 100


def test_velocities_are_lost_where_a_state_is_set():
    # So "states" never steps from a state that it set, and a run that goes on replays from the start.
    env = make_env()
    states = [np.array([150.0, 315.0, 256.0, 300.0, 0.0])]
    set_state(env, states[0])
    for _ in range(6):
        env.step(np.array([420.0, 320.0]))
        states.append(get_state(env))
    set_state(env, states[3])
    env.step(np.array([420.0, 320.0]))
    assert states[6][2] > 260  # the block was pushed
    assert np.hypot(*(get_state(env) - states[4])[:2]) > 1


def test_the_pinned_versions_are_those_that_work():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert any(each.replace(" ", "").startswith("pymunk") and "<7" in each
               for each in project["project"]["optional-dependencies"]["score"])  # fmt: skip
    assert version("pymunk").startswith("6.")
