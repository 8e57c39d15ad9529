"""The traps of the stack that no other test would notice coming back.

Where a trap has a test beside what it belongs to, it is there: exact states, keypoints and y in test_replay; strict
loading, defaults, statistics, eras and devices in test_policy and test_checkpoint; the network, warnings and logs in
test_hub; formats, pictures and whole data sets in test_episodes; the block's pose in test_poses; imports in
test_boundaries.
"""

import tomllib
from importlib.metadata import version

import numpy as np
import pytest
import torch
from lerobot.policies.factory import make_pre_post_processors
from support import ROOT

from dlscore.compute.episode import windows
from dlscore.episodes.episode import STATE
from dlscore.pusht.env import get_state, make_env, render_canvas, set_state


def test_the_samplers_noise_does_not_depend_on_the_global_generator(policy):
    # predict_action_chunk(noise=…) fixes x_T only; DDPM would draw the rest from torch's global generator.
    given = torch.randn(1, 36, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(1)
    one = policy.sample(given, [[7]])
    torch.manual_seed(2)
    torch.testing.assert_close(policy.sample(given, [[7]]), one, atol=0, rtol=0)
    torch.manual_seed(1)
    fixed = policy.policy.diffusion.conditional_sample(1, global_cond=given, noise=one[:, 0])
    torch.manual_seed(2)
    assert not torch.equal(policy.policy.diffusion.conditional_sample(1, global_cond=given, noise=one[:, 0]), fixed)


def test_a_window_keeps_its_steps_apart_from_the_batch(policy, source):
    # The batch dimension is added to single observations only; windows come with theirs.
    found = windows(policy, source.load(0, policy.inputs), slice(0, 3))
    batch = policy.preprocess({name: torch.as_tensor(values) for name, values in found.items()})
    assert batch[STATE].shape == (3, 2, 2)
    assert policy.encode(found).shape == (3, 2 * 18)


def test_the_current_action_is_entry_n_obs_steps_minus_one(policy, source):
    # Entry 0 belongs to the first observation of the window, n_obs_steps - 1 steps ago.
    assert policy.current == -policy.config.action_delta_indices[0] == policy.config.n_obs_steps - 1


def test_processors_without_statistics_are_still_the_identity():
    # If this fails, LeRobot has changed and the check for it in dlscore.policy may go.
    from support import stub

    preprocess, _ = make_pre_post_processors(stub.make_config())
    batch = {STATE: torch.tensor([[100.0, 200.0]])}
    torch.testing.assert_close(preprocess(dict(batch))[STATE], batch[STATE])


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
