"""What an episode came to: read where a data set has it, refused where it makes no sense."""

import numpy as np
import pytest
from support import ROOT

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import DatasetError
from dlscore.episodes.outcome import (
    CHUNK,
    REWARD,
    ROLLOUT_NOTE,
    SEED,
    SUCCESS,
    outcome_features,
    read_actor,
    read_outcome,
)

START = np.zeros(5)


def test_a_data_set_with_rewards_says_how_its_episodes_ended():
    episode = open_dataset(root=ROOT / "data" / "demo" / "episodes").load(0)
    assert sorted(episode.outcome) == ["reward", "success"]
    assert episode.outcome["success"].tolist() == [0] * (len(episode) - 1) + [1]
    assert episode.outcome["reward"].argmax() == len(episode) - 1
    assert (episode.seed, episode.executed_by) == (None, "")


def test_a_data_set_without_them_has_no_outcome(dataset):
    assert dataset.load(0).outcome == {}


def test_a_seed_counts_beside_the_chunk_only():
    one = (1,)
    assert outcome_features({REWARD: one, SEED: one, "action": (2,)}) == [REWARD]
    assert outcome_features({REWARD: one, SEED: one, CHUNK: one}) == [REWARD, CHUNK, SEED]
    assert outcome_features({REWARD: (3,), SUCCESS: ()}) == [SUCCESS]


@pytest.mark.parametrize(("name", "values"), [(REWARD, [0.1, np.nan]), (SUCCESS, [0.0, 0.5])])
def test_values_that_make_no_sense_are_refused(name, values):
    with pytest.raises(DatasetError, match=f"'{name}' of episode 3 of mine holds values that are no"):
        read_outcome({name: (1,)}, {name: np.array(values)[:, None]}, START, "episode 3 of mine")


def test_a_note_that_cannot_be_read_is_refused(tmp_path):
    assert read_actor(tmp_path, ["agent_pos", "action"], ["agent_pos"]) == "a policy recorded by lerobot-eval"
    (tmp_path / "meta").mkdir()
    (tmp_path / ROLLOUT_NOTE).write_text('{"policy": "mine"}')
    assert read_actor(tmp_path, ["action"], ["agent_pos"]) == "mine"
    (tmp_path / ROLLOUT_NOTE).write_text("{")
    with pytest.raises(DatasetError, match=r"rollout\.json cannot be read"):
        read_actor(tmp_path, ["action"], ["agent_pos"])
