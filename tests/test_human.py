"""Real human demonstrations, where a copy lies beside the repository."""

from pathlib import Path

import pytest

from dlscore.episodes import open_source
from dlscore.replay import replay

HUMAN = Path(__file__).parents[2] / "shared" / "pusht_human" / "pusht_cchi_v7_replay.zarr"
pytestmark = pytest.mark.skipif(not HUMAN.exists(), reason=f"no copy of the human demonstrations at {HUMAN}")


@pytest.mark.parametrize("index", [0, 7, 42, 100, 185])
def test_replay_stays_with_the_record(index):
    episode = open_source(root=HUMAN).load(index, [])
    drift = [step.drift for step in replay(episode)]
    assert len(drift) == len(episode)
    assert max(each[:2].max() for each in drift) < 0.5
