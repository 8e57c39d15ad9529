"""One episode into one cache: what is in it, and that a run gives the same numbers whatever its circumstances."""

import numpy as np
import torch
from support import ROOT
from support.runs import ALL, QUICK, assert_same, everything, with_methods

from dlscore.cache.reader import open_cache
from dlscore.compute.episode import compute_episode, windows
from dlscore.compute.run import Run
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import STATE
from dlscore.policy.load import load_policy
from dlscore.scores.methods import SCORERS


def test_a_computed_episode_is_the_experts(policy, dataset, finished):
    episode = dataset.load(0, [])
    with open_cache(finished) as cache:
        assert cache.methods == tuple(sorted(SCORERS))
        np.testing.assert_allclose(cache.expert_action, episode.action[:14])
        np.testing.assert_allclose(cache.state, episode.state[:14], atol=1e-3)
        assert cache.drift.max() < 1e-3
        np.testing.assert_array_equal(cache.predicted_action, cache.predicted_chunks[:, 0, policy.current])
        assert cache.attrs["policy"] == policy.name
        assert cache.attrs["identity"]["policy"] == policy.fingerprint
        assert cache.attrs["pose_source"] == "full state (full_state)"
        assert cache.attrs["network_evaluations"] == 14 * (41 + 16 * 9 + 3 * 64 + 2 * 5)  # with a pilot of 41


def test_the_same_run_twice_is_bit_identical(policy, dataset, finished, tmp_path):
    again = tmp_path / "again" / "episode_000.h5"
    compute_episode(Run(policy, dataset, ALL), 0, again)
    assert_same(finished, again)


def test_the_batch_size_does_not_change_the_scores(policy_folder, dataset, finished, tmp_path):
    small = load_policy(str(policy_folder), device="cpu", batch_size=7)
    path = tmp_path / "small" / "episode_000.h5"
    compute_episode(Run(small, dataset, ALL), 0, path)
    one, two = everything(finished), everything(path)
    for name in one:
        # The last bits of a network's output depend on the batch. Where they turn a number's rounding, it moves by a step.
        atol = 1e-3 * np.abs(one[name]).max() if "likelihood" in name else 1e-5
        np.testing.assert_allclose(one[name], two[name], rtol=1e-5, atol=atol, err_msg=name)


def test_drift_beyond_the_limit_is_a_warning(policy, dataset, tmp_path, monkeypatch):
    episode = dataset.load(0, policy.inputs)
    episode.block[1:, 0] += 30  # a record of a block that is not where the replay has it
    monkeypatch.setattr(dataset, "load", lambda *_: episode)
    outcome = compute_episode(
        Run(policy, dataset, with_methods(ALL, {"distance": {}})), 0, tmp_path / "a" / "episode_000.h5"
    )
    assert "drifts 30.0 px" in outcome.warning
    assert "--replay states" in outcome.warning
    states = with_methods(ALL, {"distance": {}}, replay="states")
    assert not compute_episode(Run(policy, dataset, states), 0, tmp_path / "b" / "episode_000.h5").warning


def test_an_observation_is_encoded_once_a_step_and_the_cache_keeps_the_checks(policy, dataset, tmp_path):
    path = tmp_path / "episode_000.h5"
    policy.encodings = 0
    compute_episode(Run(policy, dataset, ALL), 0, path)
    assert policy.encodings == 14
    with open_cache(path) as cache:
        checks = cache.checks("likelihood")
        assert sorted(checks) == ["error", "inside"]
        assert all(values.shape == (14,) and (values >= 0).all() for values in checks.values())
        assert checks["error"].max() > 0
        assert checks["inside"].max() <= 1
        assert cache.checks("distance") == cache.checks("noise_pred") == {}


def test_windows_repeat_the_first_observation(policy, dataset):
    episode = dataset.load(0, policy.inputs)
    state = windows(policy, episode, slice(0, 3))["observation.state"]
    np.testing.assert_array_equal(state[0], episode.observations["observation.state"][[0, 0]])
    np.testing.assert_array_equal(state[2], episode.observations["observation.state"][[1, 2]])


def test_a_policy_that_looks_at_the_video(tmp_path):
    from lerobot.configs.types import FeatureType, PolicyFeature
    from support import stub

    state = PolicyFeature(type=FeatureType.STATE, shape=(2,))
    image = PolicyFeature(type=FeatureType.VISUAL, shape=(3, 96, 96))
    folder = stub.save_policy(
        tmp_path / "policy",
        input_features={"observation.state": state, "observation.image": image},
        normalization_mapping={"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ACTION": "MIN_MAX"},
        crop_shape=(84, 84),
        use_group_norm=True,
        num_inference_steps=5,
    )
    policy = load_policy(str(folder), device="cpu")
    dataset = open_dataset(root=ROOT / "data" / "demo" / "episodes")
    Run(policy, dataset)
    episode = dataset.load(0, policy.inputs)
    assert episode.observations["observation.image"].shape == (78, 3, 96, 96)
    assert episode.observations["observation.image"].dtype == np.uint8
    settings = with_methods(ALL, {"likelihood": QUICK}, max_steps=3)
    assert compute_episode(Run(policy, dataset, settings), 0, tmp_path / "episode_000.h5").state == "computed"
    shown = policy.encode(windows(policy, episode, slice(0, 2)))
    episode.observations["observation.image"][:] = 0
    assert not np.allclose(shown, policy.encode(windows(policy, episode, slice(0, 2))))


def test_progress_starts_where_the_work_does(policy, dataset, tmp_path):
    reports = []
    compute_episode(
        Run(policy, dataset, ALL), 0, tmp_path / "episode_000.h5", progress=lambda *report: reports.append(report)
    )
    assert reports == [(0, 14), (10, 14), (14, 14)]


def test_a_window_keeps_its_steps_apart_from_the_batch(policy, dataset):
    # The batch dimension is added to single observations only; windows come with theirs.
    found = windows(policy, dataset.load(0, policy.inputs), slice(0, 3))
    batch = policy.preprocess({name: torch.as_tensor(values) for name, values in found.items()})
    assert batch[STATE].shape == (3, 2, 2)
    assert policy.encode(found).shape == (3, 2 * 18)


def test_the_current_action_is_entry_n_obs_steps_minus_one(policy, dataset):
    # Entry 0 belongs to the first observation of the window, n_obs_steps - 1 steps ago.
    assert policy.current == -policy.config.action_delta_indices[0] == policy.config.n_obs_steps - 1
