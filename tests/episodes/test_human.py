"""Real human demonstrations, where a copy lies beside the repository."""

import numpy as np
import pytest
from support import HUMAN

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import IMAGE
from dlscore.episodes.replay import replay
from dlscore.pusht.geometry import angle_difference
from dlscore.pusht.image_pose import fit

pytestmark = pytest.mark.skipif(not HUMAN.exists(), reason=f"no copy of the human demonstrations at {HUMAN}")


@pytest.mark.parametrize(("index", "step"), [(3, 0), (21, 60), (77, 33), (120, 40), (160, 12)])
def test_a_recorded_picture_gives_its_pose(index, step):
    episode = open_dataset(root=HUMAN).load(index, [IMAGE])
    found = fit(episode.observations[IMAGE][step].transpose(1, 2, 0), episode.agent[step])
    assert np.hypot(*(found.pose[:2] - episode.block[step, :2])) < 1
    assert abs(angle_difference(found.pose[2], episode.block[step, 2])) < np.radians(1)
    assert found.residual < 0.1  # drawn as the pygame of 2023 did; as today's, it is 0.1 to 0.2


def test_replay_from_a_recovered_start_stays_near_the_record():
    truth = open_dataset(root=HUMAN).load(30)
    episode = open_dataset(root=HUMAN, block_pose="image").load(30)
    assert episode.block.shape == (1, 3)
    states = np.array([step.state for step in replay(episode)])
    assert np.hypot(*(states[:, 2:4] - truth.block[:, :2]).T).max() < 2


@pytest.mark.parametrize("index", [0, 7, 42, 100, 185])
def test_replay_stays_with_the_record(index):
    episode = open_dataset(root=HUMAN).load(index, [])
    drift = [step.drift for step in replay(episode)]
    assert len(drift) == len(episode)
    assert max(max(each["agent_px"], each["block_px"]) for each in drift) < 0.5  # px of agent and block
