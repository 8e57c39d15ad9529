"""A Run: what follows from a policy, a data set and settings, and whether they fit each other."""

from dataclasses import replace

import numpy as np
import pytest
from support.runs import ALL, only

from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import InputError, Run
from dlscore.compute.settings import Settings
from dlscore.episodes.dataset import open_dataset
from dlscore.policy.load import load_policy


def test_inputs_that_the_data_lack_are_named(policy, tmp_path):
    from support import stub

    with_keypoints_only_in_state = open_dataset(
        root=stub.save_dataset(tmp_path / "data", episodes=1, without=("observation.environment_state",))
    )
    with pytest.raises(InputError, match=r"takes 'observation\.environment_state', which data set .* lacks"):
        Run(policy, with_keypoints_only_in_state)


def test_replayed_observations_are_what_gym_pusht_shows(policy, dataset, tmp_path):
    recorded, replayed = (
        Run(policy, dataset, replace(ALL, observations=each)).load(0) for each in ("recorded", "replayed")
    )
    for name in policy.inputs:  # the replay does not drift, so these are the same to float32
        np.testing.assert_allclose(replayed.observations[name], recorded.observations[name][:14], atol=1e-3)
    assert compute_episode(Run(policy, dataset, ALL), 0, tmp_path / "episode_000.h5").state == "computed"
    with pytest.raises(CacheError, match=r'observations: null -> "replayed"'):
        compute_episode(Run(policy, dataset, replace(ALL, observations="replayed")), 0, tmp_path / "episode_000.h5")


def test_a_policy_of_pictures_scores_a_data_set_without_any(dataset, tmp_path):
    from support import stub

    policy = load_policy(str(stub.save_policy(tmp_path / "policy", **stub.image_config())), device="cpu")
    with pytest.raises(InputError, match="or render the inputs with --observations replayed"):
        Run(policy, dataset)
    Run(policy, dataset, Settings(observations="replayed"))
    settings = replace(ALL, observations="replayed", max_steps=3)
    pictures = Run(policy, dataset, settings).load(0).observations["observation.image"]
    assert pictures.shape == (3, 3, 96, 96)
    assert pictures.dtype == np.uint8
    assert pictures.min() < 128 < pictures.max()
    path = tmp_path / "episode_000.h5"
    assert compute_episode(Run(policy, dataset, settings), 0, path).state == "computed"
    with open_cache(path) as cache:
        assert cache.attrs["observations"] == "replayed"
    two = stub.save_policy(tmp_path / "two", **stub.image_config("observation.images.a", "observation.images.b"))
    with pytest.raises(InputError, match=r"has one camera, gym-pusht's own; policy .* takes 2"):
        Run(load_policy(str(two), device="cpu"), dataset, Settings(observations="replayed"))


def test_the_evaluations_of_a_step_are_those_of_its_methods_and_of_the_chunks(policy, dataset, finished):
    run = Run(policy, dataset, ALL)
    assert list(run.scorers) == ["likelihood", "distance", "noise_pred"]
    assert {name: attrs["evaluations_per_step"] for name, attrs in run.score_attrs.items()} == {
        "likelihood": 41 + 16 * 9, "distance": 0, "noise_pred": 3 * 8**2,
    }  # fmt: skip
    assert run.evaluations_per_step == 41 + 16 * 9 + 3 * 8**2 + 2 * 5
    with open_cache(finished) as cache:
        assert cache.attrs["network_evaluations"] == 14 * run.evaluations_per_step
    assert run.grid.resolution == 8


def test_steps_are_counted_without_reading_the_episode(policy, dataset, monkeypatch):
    monkeypatch.setattr(dataset._reader, "read", lambda *_: pytest.fail("read"))
    assert Run(policy, dataset).count_steps(3) == 14
    assert Run(policy, dataset, replace(ALL, max_steps=6)).count_steps(3) == 6


def test_an_input_of_another_shape_is_named(policy, dataset, monkeypatch):
    monkeypatch.setitem(dataset.features, "observation.environment_state", (18,))
    words = r"takes 'observation\.environment_state' of shape \(16,\); data set five has it with shape \(18,\)"
    with pytest.raises(InputError, match=words):
        Run(policy, dataset)


def test_the_default_settings_are_those_of_the_command(policy, dataset):
    assert Run(policy, dataset).settings == Settings()


def test_the_identity_is_everything_but_the_methods(policy, dataset):
    run = Run(policy, dataset, ALL)
    episode = run.load(0)
    one = run.identity(episode)
    assert Run(policy, dataset, only(ALL, ["distance"])).identity(episode) == one
    for changes in ({"seed": 1}, {"chunks": 3}, {"resolution": 9}, {"max_steps": 13}, {"replay": "states"},
                    {"observations": "replayed"}):  # fmt: skip
        assert Run(policy, dataset, replace(ALL, **changes)).identity(episode) != one
    assert run.identity(run.load(1)) != one
