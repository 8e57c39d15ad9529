"""Replays give the recorded states to the bit."""

import numpy as np
import pytest

from dlscore.episodes.replay import ReplayError, replay


def test_replay_does_not_drift(dataset):
    episode = dataset.load(0, [])
    steps = list(replay(episode))
    assert [step.index for step in steps] == list(range(len(episode)))
    assert max(max(step.drift.values()) for step in steps) < 1e-3
    moved = np.abs(np.diff([step.state for step in steps], axis=0)).max(axis=0)
    assert (moved[[0, 1, 2, 3]] > 1).all()  # the agent pushed the block: there was something to get wrong


def test_replay_from_the_middle_is_the_same_replay(dataset):
    episode = dataset.load(0, [])
    whole, late = list(replay(episode)), list(replay(episode, start=10, stop=15))
    assert [step.index for step in late] == [10, 11, 12, 13, 14]
    for one, two in zip(whole[10:15], late, strict=True):
        np.testing.assert_array_equal(one.state, two.state)
        np.testing.assert_array_equal(one.frame, two.frame)


def test_replayed_states_cannot_drift_from_a_record_of_another_world(dataset):
    episode = dataset.load(0, [])
    episode.block[1:, 0] += 40  # the record says that the block is elsewhere
    assert max(step.drift["block_px"] for step in replay(episode)) > 30
    assert max(step.drift["block_px"] for step in replay(episode, "states")) < 1e-9


def test_an_unknown_mode_is_refused(dataset):
    with pytest.raises(ReplayError, match="choose from actions, states"):
        next(replay(dataset.load(0, []), "dreams"))
