import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlscore.episodes.replay import ReplayError, replay
from dlscore.pusht.env import get_keypoints, get_state, make_env, render_canvas, set_state
from dlscore.pusht.geometry import angle_difference, keypoints_of_pose, pose_from_keypoints

angles = st.floats(0, 2 * np.pi, exclude_max=True)
positions = st.floats(50, 450)


@settings(max_examples=25, deadline=None)
@given(x=positions, y=positions, block_x=positions, block_y=positions, angle=angles)
def test_the_state_that_is_set_is_the_state(x, y, block_x, block_y, angle):
    state = np.array([x, y, block_x, block_y, angle])
    env = _environment()
    set_state(env, state)
    np.testing.assert_allclose(get_state(env), state, atol=1e-9)


def test_the_environments_own_reset_is_still_not_exact():
    # If this fails, gym-pusht has changed and `set_state` may go.
    state = np.array([100.0, 100.0, 200.0, 300.0, 1.0])
    reset, _ = _environment().reset(options={"reset_to_state": state})
    assert np.abs(reset - state).max() > 1


def test_goal_of_the_environment_is_where_the_picture_shows_it():
    env = _environment()
    set_state(env, np.array([100.0, 400.0, 400.0, 80.0, 0.0]))
    image = render_canvas(env)
    y, x = np.nonzero((image == [65, 105, 225]).all(axis=-1))  # the agent's royal blue
    assert x.mean() + 0.5 == pytest.approx(100, abs=1)
    assert y.mean() + 0.5 == pytest.approx(400, abs=1)  # y points down
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 7  # no anti-aliasing, no action marker


@settings(max_examples=25, deadline=None)
@given(x=positions, y=positions, angle=angles)
def test_block_pose_from_keypoints(x, y, angle):
    pose = np.array([x, y, angle])
    found = pose_from_keypoints(keypoints_of_pose(pose))
    np.testing.assert_allclose(found[:2], pose[:2], atol=1e-6)
    assert angle_difference(found[2], angle) == pytest.approx(0, abs=1e-9)


def test_frames_are_the_environments_own_less_the_contact_points(source):
    import pygame

    env = _environment()
    episode = source.load(0, [])
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
    env = _environment()
    state = np.array([50.0, 60.0, 200.0, 300.0, 2.5])
    set_state(env, state)
    np.testing.assert_allclose(keypoints_of_pose(state[2:]), get_keypoints(env), atol=1e-9)


def test_replay_does_not_drift(source):
    episode = source.load(0, [])
    steps = list(replay(episode))
    assert [step.index for step in steps] == list(range(len(episode)))
    assert max(max(step.drift.values()) for step in steps) < 1e-3
    moved = np.abs(np.diff([step.state for step in steps], axis=0)).max(axis=0)
    assert (moved[[0, 1, 2, 3]] > 1).all()  # the agent pushed the block: there was something to get wrong


def test_replay_from_the_middle_is_the_same_replay(source):
    episode = source.load(0, [])
    whole, late = list(replay(episode)), list(replay(episode, start=10, stop=15))
    assert [step.index for step in late] == [10, 11, 12, 13, 14]
    for one, two in zip(whole[10:15], late, strict=True):
        np.testing.assert_array_equal(one.state, two.state)
        np.testing.assert_array_equal(one.frame, two.frame)


def test_replayed_states_cannot_drift_from_a_record_of_another_world(source):
    episode = source.load(0, [])
    episode.block[1:, 0] += 40  # the record says that the block is elsewhere
    assert max(step.drift["block_px"] for step in replay(episode)) > 30
    assert max(step.drift["block_px"] for step in replay(episode, "states")) < 1e-9


def test_an_unknown_mode_is_refused(source):
    with pytest.raises(ReplayError, match="choose from actions, states"):
        next(replay(source.load(0, []), "dreams"))


def _environment():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_env()
