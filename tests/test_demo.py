"""The committed demo: a policy that loads, and expert episodes that replay bit by bit and end at the goal."""

import json

import numpy as np
import pytest
from support import ROOT

from dlscore.compute.episode import windows
from dlscore.compute.run import Run
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.replay import replay
from dlscore.grid import Grid
from dlscore.policy.load import load_policy
from dlscore.pusht.env import make_env, render_image, set_state
from dlscore.scores.likelihood import Likelihood

DEMO = ROOT / "data" / "demo"


@pytest.fixture(scope="module")
def demo():
    return open_dataset(root=DEMO / "episodes")


def test_it_is_small():
    assert sum(file.stat().st_size for file in DEMO.rglob("*")) <= 25e6


@pytest.mark.slow
def test_every_episode_replays_bit_by_bit_and_ends_at_the_goal(demo):
    assert len(demo) >= 10
    env = make_env()
    for index in range(len(demo)):
        episode = demo.load(index, [])
        (last,) = replay(episode, start=len(episode) - 1)
        assert max(value for part, value in last.drift.items() if part != "picture") == 0
        set_state(env, episode.state[0])
        rewards = [env.step(action)[1] for action in episode.action]
        assert rewards[0] < 0.5 < 0.9 <= rewards[-1]


def test_the_video_shows_the_replay(demo):
    # AV1 loses a little: the mean difference from a lossless picture is about 1 in 255.
    episode = demo.load(0, ["observation.image"])
    env = make_env()
    set_state(env, episode.state[40])
    recorded = episode.observations["observation.image"][40].transpose(1, 2, 0).astype(float)
    assert np.abs(recorded - render_image(env)).mean() < 3


def test_the_policy_scores_it(demo):
    policy = load_policy(str(DEMO / "policy"), device="cpu")
    Run(policy, demo)
    episode, grid = demo.load(0, policy.inputs), Grid(50)
    conditioning = policy.encode(windows(policy, episode, slice(30, 31)))
    scores = Likelihood(samples=64).score(policy, conditioning, np.empty(0), grid, 0).values[0]
    assert np.exp(scores).sum() * grid.cell_area == pytest.approx(1, abs=0.01)
    here = np.linalg.norm(grid.actions - episode.action[30], axis=-1) < 60
    assert np.exp(scores)[here].sum() * grid.cell_area > 0.5  # another network, the same task


def test_its_evaluation_is_told():
    report = json.loads((DEMO / "policy" / "evaluation.json").read_text())
    assert report["mean_max_reward"] >= 0.9
    first, last = report["environment_seeds"]
    assert last - first == 49
