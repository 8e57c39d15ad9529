import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from support import ROOT
from support.runs import make_settings, with_methods

from dlscore.cache import checksums
from dlscore.cache.checksums import number_arrays
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.compute.episode import BLOCK_STEPS, compute_episode, windows
from dlscore.compute.run import InputError, Run
from dlscore.compute.settings import Options, Settings
from dlscore.compute.state import inspect_cache
from dlscore.episodes.dataset import open_dataset
from dlscore.grid import Grid
from dlscore.policy.load import load_policy
from dlscore.scores.distance import Distance
from dlscore.scores.methods import SCORERS
from dlscore.scores.noise_prediction import NoisePrediction

QUICK = {"samples": 16, "steps": 3, "timestep": 10}
ALL = make_settings(
    {"likelihood": QUICK, "distance": {}, "noise_pred": {"levels": 2}}, resolution=8, max_steps=14, chunks=2
)


def everything(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {array.name: array[:] for array in number_arrays(file)}


def assert_same(one: Path, two: Path) -> None:
    first, second = everything(one), everything(two)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    with open_cache(one) as first, open_cache(two) as second:
        own = {"created_at", "wall_time_s", checksums.ATTRIBUTES}  # of each run
        assert {k: v for k, v in first.attrs.items() if k not in own} == {
            k: v for k, v in second.attrs.items() if k not in own
        }


class Stop(Exception):
    pass


def stop(done, steps):
    """A `progress` that ends a run after its first block."""
    if done >= BLOCK_STEPS:
        raise Stop


@pytest.fixture
def finished(policy, source, tmp_path) -> Path:
    path = tmp_path / "whole" / "episode_000.h5"
    compute_episode(Run(policy, source, ALL), 0, path)
    return path


def test_a_computed_episode_is_the_experts(policy, source, finished):
    episode = source.load(0, [])
    with open_cache(finished) as cache:
        assert cache.methods == tuple(sorted(SCORERS))
        np.testing.assert_allclose(cache.expert_action, episode.action[:14])
        np.testing.assert_allclose(cache.state, episode.state[:14], atol=1e-3)
        assert cache.drift.max() < 1e-3
        np.testing.assert_array_equal(cache.predicted_action, cache.predicted_chunks[:, 0, policy.current])
        assert cache.attrs["policy"] == policy.name
        assert cache.attrs["identity"]["policy"] == policy.fingerprint
        assert cache.attrs["pose_source"] == "full state (full_state)"
        assert cache.attrs["network_evaluations"] == 14 * (16 * 6 + 16 * 3 + 3 * 64 + 2 * 100)


def test_the_same_run_twice_is_bit_identical(policy, source, finished, tmp_path):
    again = tmp_path / "again" / "episode_000.h5"
    compute_episode(Run(policy, source, ALL), 0, again)
    assert_same(finished, again)


def test_the_batch_size_does_not_change_the_scores(policy_folder, source, finished, tmp_path):
    small = load_policy(str(policy_folder), device="cpu", batch_size=7)
    path = tmp_path / "small" / "episode_000.h5"
    compute_episode(Run(small, source, ALL), 0, path)
    one, two = everything(finished), everything(path)
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_run_stopped_halfway_goes_on_and_ends_the_same(policy, source, finished, tmp_path):
    path = tmp_path / "stopped" / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, ALL), 0, path, progress=stop)
    assert not path.exists()
    with open_cache(part_path(path), partial=True) as cache:
        assert cache.done.sum() == BLOCK_STEPS
    policy.encodings = 0
    assert compute_episode(Run(policy, source, ALL), 0, path).state == "resumed"
    assert policy.encodings == 14 - BLOCK_STEPS  # what was done was not done again
    assert_same(finished, path)


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from support.runs import ALL
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.episodes.dataset import open_dataset
from dlscore.policy.load import load_policy
def report(done, steps):
    print(done, flush=True)
    time.sleep(0.2)
policy = load_policy({policy!r}, device="cpu")
compute_episode(Run(policy, open_dataset(root={data!r}), ALL), 0, {path!r}, progress=report)
"""


def test_a_run_killed_with_sigkill_goes_on_and_ends_the_same(policy, source, finished, policy_folder, dataset_folder,
                                                             tmp_path):  # fmt: skip
    path = tmp_path / "killed" / "episode_000.h5"
    code = KILLED.format(tests=str(ROOT / "tests"), policy=str(policy_folder), data=str(dataset_folder), path=str(path))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        for line in run.stdout:
            if int(line) >= BLOCK_STEPS:
                os.kill(run.pid, signal.SIGKILL)
                break
        assert run.wait() == -signal.SIGKILL
    assert sorted(os.listdir(path.parent)) == ["episode_000.h5.lock", "episode_000.h5.part"]
    assert compute_episode(Run(policy, source, ALL), 0, path).state == "resumed"
    assert os.listdir(path.parent) == ["episode_000.h5"]
    assert_same(finished, path)


def test_a_finished_file_is_left_alone_and_gains_methods(policy, source, finished, tmp_path):
    path = tmp_path / "grown" / "episode_000.h5"
    likelihood = with_methods(ALL, {"likelihood": QUICK})
    assert compute_episode(Run(policy, source, likelihood), 0, path).state == "computed"
    time_before = path.stat().st_mtime_ns
    assert compute_episode(Run(policy, source, likelihood), 0, path).state == "current"
    assert path.stat().st_mtime_ns == time_before
    policy.evaluations = 0
    assert compute_episode(Run(policy, source, ALL), 0, path).state == "extended"
    assert policy.evaluations == 14 * 3 * 64  # the likelihood and the chunks were not drawn again
    assert_same(finished, path)
    assert compute_episode(Run(policy, source, likelihood), 0, path).state == "current"


def test_a_method_that_is_being_added_does_not_hide_what_is_finished(policy, source, finished):
    finer = with_methods(ALL, {"likelihood": QUICK})
    path = finished.parent / "two" / "episode_000.h5"
    compute_episode(Run(policy, source, finer), 0, path)
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, ALL), 0, path, progress=stop)
    assert part_path(path).exists()
    assert compute_episode(Run(policy, source, finer), 0, path).state == "current"
    with pytest.raises(CacheError, match=r"methods: .* -> distance"):
        compute_episode(Run(policy, source, with_methods(ALL, {"distance": {}})), 0, path)
    assert compute_episode(Run(policy, source, ALL), 0, path).state == "resumed"
    assert_same(finished, path)
    with open_cache(path) as one, open_cache(finished) as two:  # the cost is the sum over the runs
        assert one.attrs["network_evaluations"] == two.attrs["network_evaluations"]


def test_a_run_killed_before_the_last_rename_only_renames(policy, source, finished):
    before = shutil.copyfile(finished, finished.with_name("before.h5"))
    finished.rename(part_path(finished))
    policy.evaluations = 0
    assert compute_episode(Run(policy, source, ALL), 0, finished).state == "resumed"
    assert policy.evaluations == 0
    assert_same(before, finished)


def test_other_settings_are_an_error_that_names_them(policy, source, finished):
    other = replace(ALL, seed=1, resolution=9)
    with pytest.raises(CacheError, match=r"action_resolution: 8 -> 9, seed: 0 -> 1.*--force starts over"):
        compute_episode(Run(policy, source, other), 0, finished)
    finer = with_methods(ALL, {"likelihood": QUICK | {"samples": 32}})
    with pytest.raises(CacheError, match="likelihood samples: 16 -> 32"):
        compute_episode(Run(policy, source, finer), 0, finished)
    assert compute_episode(Run(policy, source, other), 0, finished, Options(replace_stale=True)).state == "computed"
    assert compute_episode(Run(policy, source, other), 0, finished, Options(replace_stale=True)).state == "current"
    assert compute_episode(Run(policy, source, other), 0, finished, Options(force=True)).state == "computed"


def test_an_unreadable_part_is_named_and_replaced_on_request(policy, source, tmp_path):
    path = tmp_path / "episode_000.h5"
    part_path(path).write_bytes(b"not HDF5")
    assert inspect_cache(path, {}, {}).name == "stale"
    with pytest.raises(CacheError, match="not a readable HDF5 file"):
        compute_episode(Run(policy, source, ALL), 0, path)
    assert compute_episode(Run(policy, source, ALL), 0, path, Options(replace_stale=True)).state == "computed"


def test_the_observation_is_encoded_once_a_step(policy, source, tmp_path):
    compute_episode(Run(policy, source, ALL), 0, tmp_path / "episode_000.h5")
    assert policy.encodings == 14


def test_drift_beyond_the_limit_is_a_warning(policy, source, tmp_path, monkeypatch):
    episode = source.load(0, policy.inputs)
    episode.block[1:, 0] += 30  # a record of a block that is not where the replay has it
    monkeypatch.setattr(source, "load", lambda index, names: episode)
    outcome = compute_episode(
        Run(policy, source, with_methods(ALL, {"distance": {}})), 0, tmp_path / "a" / "episode_000.h5"
    )
    assert "drifts 30.0 px" in outcome.warning
    assert "--replay states" in outcome.warning
    states = with_methods(ALL, {"distance": {}}, replay="states")
    assert not compute_episode(Run(policy, source, states), 0, tmp_path / "b" / "episode_000.h5").warning


def test_distance_is_zero_at_the_prediction(policy):
    grid = Grid(8)
    chunk = np.full((16, 2), 999.0)
    chunk[policy.current] = grid.actions[5, 2]
    scores = Distance().score(policy, None, chunk[None, None], grid, 0).values[0]
    assert scores[5, 2] == 0
    assert scores[5, 3] == -64
    assert scores[4, 2] == -64


def test_noise_prediction_prefers_the_mode():
    from dlscore.certify import analytic_policy, mixtures

    one, grid = mixtures.gaussians("", [[0.3, -0.4]], 0.1), Grid(24)
    policy = analytic_policy.make_policy(one)
    scores = (
        NoisePrediction()
        .score(policy, analytic_policy.encode_observation(policy), policy.to_px(one.chunks)[None], grid, 0)
        .values[0]
    )
    assert policy.evaluations == NoisePrediction().evaluations(policy, grid) == 5 * 24**2
    j, i = np.unravel_index(scores.argmax(), scores.shape)
    np.testing.assert_allclose(grid.actions[j, i], policy.to_px([0.3, -0.4]), atol=grid.cell)


def test_an_observation_is_encoded_once_a_step_and_the_cache_keeps_the_checks(policy, source, tmp_path):
    path = tmp_path / "episode_000.h5"
    policy.encodings = 0
    compute_episode(Run(policy, source, ALL), 0, path)
    assert policy.encodings == 14
    with open_cache(path) as cache:
        checks = cache.checks("likelihood")
        assert sorted(checks) == ["level_difference", "sampling_error"]
        assert all(values.shape == (14,) and (values >= 0).all() for values in checks.values())
        assert checks["sampling_error"].max() > 0
        assert cache.checks("distance") == cache.checks("noise_pred") == {}


def test_windows_repeat_the_first_observation(policy, source):
    episode = source.load(0, policy.inputs)
    state = windows(policy, episode, slice(0, 3))["observation.state"]
    np.testing.assert_array_equal(state[0], episode.observations["observation.state"][[0, 0]])
    np.testing.assert_array_equal(state[2], episode.observations["observation.state"][[1, 2]])


def test_inputs_that_the_data_lack_are_named(policy, tmp_path):
    from support import stub

    with_keypoints_only_in_state = open_dataset(
        root=stub.save_dataset(tmp_path / "data", episodes=1, without=("observation.environment_state",))
    )
    with pytest.raises(InputError, match=r"takes 'observation\.environment_state', which data set .* lacks"):
        Run(policy, with_keypoints_only_in_state)


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
    )
    policy = load_policy(str(folder), device="cpu")
    source = open_dataset(root=ROOT / "data" / "demo" / "episodes")
    Run(policy, source)
    episode = source.load(0, policy.inputs)
    assert episode.observations["observation.image"].shape == (78, 3, 96, 96)
    assert 0 <= episode.observations["observation.image"].min() < episode.observations["observation.image"].max() <= 1
    settings = with_methods(ALL, {"likelihood": QUICK}, max_steps=3)
    assert compute_episode(Run(policy, source, settings), 0, tmp_path / "episode_000.h5").state == "computed"
    shown = policy.encode(windows(policy, episode, slice(0, 2)))
    episode.observations["observation.image"][:] = 0
    assert not np.allclose(shown, policy.encode(windows(policy, episode, slice(0, 2))))


def test_replayed_observations_are_what_gym_pusht_shows(policy, source, tmp_path):
    recorded, replayed = (
        Run(policy, source, replace(ALL, observations=each)).load(0) for each in ("recorded", "replayed")
    )
    for name in policy.inputs:  # the replay does not drift, so these are the same to float32
        np.testing.assert_allclose(replayed.observations[name], recorded.observations[name][:14], atol=1e-3)
    assert compute_episode(Run(policy, source, ALL), 0, tmp_path / "episode_000.h5").state == "computed"
    with pytest.raises(CacheError, match=r'observations: null -> "replayed"'):
        compute_episode(Run(policy, source, replace(ALL, observations="replayed")), 0, tmp_path / "episode_000.h5")


def test_a_policy_of_pictures_scores_a_data_set_without_any(source, tmp_path):
    from support import stub

    policy = load_policy(str(stub.save_policy(tmp_path / "policy", **stub.image_config())), device="cpu")
    with pytest.raises(InputError, match="or render the inputs with --observations replayed"):
        Run(policy, source)
    Run(policy, source, Settings(observations="replayed"))
    settings = replace(ALL, observations="replayed", max_steps=3)
    pictures = Run(policy, source, settings).load(0).observations["observation.image"]
    assert pictures.shape == (3, 3, 96, 96)
    assert 0 <= pictures.min() < 0.5 < pictures.max() <= 1
    path = tmp_path / "episode_000.h5"
    assert compute_episode(Run(policy, source, settings), 0, path).state == "computed"
    with open_cache(path) as cache:
        assert cache.attrs["observations"] == "replayed"
    two = stub.save_policy(tmp_path / "two", **stub.image_config("observation.images.a", "observation.images.b"))
    with pytest.raises(InputError, match=r"has one camera, gym-pusht's own; policy .* takes 2"):
        Run(load_policy(str(two), device="cpu"), source, Settings(observations="replayed"))


def test_a_run_of_replayed_observations_goes_on_where_it_stopped(policy, source, tmp_path):
    settings = with_methods(ALL, {"distance": {}}, observations="replayed")
    whole, halved = tmp_path / "a" / "episode_000.h5", tmp_path / "b" / "episode_000.h5"
    compute_episode(Run(policy, source, settings), 0, whole)
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, settings), 0, halved, progress=stop)
    assert compute_episode(Run(policy, source, settings), 0, halved).state == "resumed"
    assert_same(whole, halved)


def test_a_cache_begun_without_pictures_is_extended_and_resumed_with_them(policy, source, tmp_path, monkeypatch):
    # As files of schema 1.1 were: the file says which parts of the drift it keeps.
    plain = source.load(0, policy.inputs)
    pictured = replace(plain, pictures=np.zeros((len(plain), 3, 96, 96), dtype=np.float32))
    one = with_methods(ALL, {"distance": {}})
    for name in ("finished", "partial"):
        path = tmp_path / name / "episode_000.h5"
        monkeypatch.setattr(source, "load", lambda index, names: plain)
        if name == "finished":
            compute_episode(Run(policy, source, one), 0, path)
        else:
            with pytest.raises(Stop):
                compute_episode(Run(policy, source, one), 0, path, progress=stop)
        monkeypatch.setattr(source, "load", lambda index, names: pictured)
        two = with_methods(ALL, {"distance": {}, "noise_pred": {"levels": 2}}) if name == "finished" else one
        outcome = compute_episode(Run(policy, source, two), 0, path)
        assert outcome.state == ("extended" if name == "finished" else "resumed")
        assert list(outcome.drift) == ["agent_px", "block_px", "block_rad"]
    path = tmp_path / "lost" / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, one), 0, path, progress=stop)
    monkeypatch.setattr(source, "load", lambda index, names: plain)
    with pytest.raises(CacheError, match="was begun with a record that had picture, which it lacks now"):
        compute_episode(Run(policy, source, one), 0, path)


def test_progress_starts_where_the_work_does(policy, source, tmp_path):
    reports = []
    compute_episode(
        Run(policy, source, ALL), 0, tmp_path / "episode_000.h5", progress=lambda *report: reports.append(report)
    )
    assert reports == [(0, 14), (10, 14), (14, 14)]


def test_a_part_that_does_not_fit_costs_no_finished_scores(policy, source, tmp_path):
    path = tmp_path / "episode_000.h5"
    distance, levels = {"distance": {}}, {"noise_pred": {"levels": 2}}
    compute_episode(Run(policy, source, with_methods(ALL, distance)), 0, path)
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, with_methods(ALL, distance | levels)), 0, path, progress=stop)
    wanted = with_methods(ALL, distance | {"noise_pred": {"levels": 1}})
    with pytest.raises(CacheError, match="levels: 2 -> 1"):
        compute_episode(Run(policy, source, wanted), 0, path)
    assert compute_episode(Run(policy, source, wanted), 0, path, Options(replace_stale=True)).state == "extended"
    assert not part_path(path).exists()


@pytest.mark.parametrize(("name", "value"), [("schema", "my measurements"), ("schema_version", "2.0")])
def test_what_is_no_cache_of_ours_is_replaced_by_force_only(policy, source, tmp_path, name, value):
    path = tmp_path / "episode_000.h5"
    settings = with_methods(ALL, {"distance": {}})
    compute_episode(Run(policy, source, settings), 0, path)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    before = path.read_bytes()
    with pytest.raises(CacheError, match="--force starts over"):
        compute_episode(Run(policy, source, settings), 0, path, Options(replace_stale=True))
    assert path.read_bytes() == before
    assert compute_episode(Run(policy, source, settings), 0, path, Options(force=True)).state == "computed"
