"""Runs that were stopped or killed go on and end the same; finished files gain methods."""

import os
import shutil
import signal
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from support import ROOT
from support.processes import start
from support.runs import ALL, QUICK, Stop, assert_same, only, stop, with_methods

from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.cache.verify import verify
from dlscore.compute.episode import BLOCK_STEPS, compute_episode
from dlscore.compute.plan import plan_episodes
from dlscore.compute.run import Run
from dlscore.compute.settings import Options

KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from support.processes import start
from support.runs import ALL
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.episodes.dataset import open_dataset
from dlscore.policy.load import load_policy
def report(done, steps):
    print(done, flush=True)
    if done:
        time.sleep(3600)  # until it is killed
policy = load_policy({policy!r}, device="cpu")
compute_episode(Run(policy, open_dataset(root={data!r}), ALL), 0, {path!r}, progress=report)
"""


def test_a_run_stopped_halfway_goes_on_and_ends_the_same(policy, dataset, finished, tmp_path):
    path = tmp_path / "stopped" / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, ALL), 0, path, progress=stop)
    assert not path.exists()
    with open_cache(part_path(path), partial=True) as cache:
        assert cache.done.sum() == BLOCK_STEPS
    policy.encodings = 0
    assert compute_episode(Run(policy, dataset, ALL), 0, path).state == "resumed"
    assert policy.encodings == 14 - BLOCK_STEPS  # what was done was not done again
    assert_same(finished, path)


@pytest.mark.slow
def test_a_run_killed_with_sigkill_goes_on_and_ends_the_same(policy, dataset, finished, policy_folder, dataset_folder,
                                                             tmp_path):  # fmt: skip
    path = tmp_path / "killed" / "episode_000.h5"
    code = KILLED.format(tests=str(ROOT / "tests"), policy=str(policy_folder), data=str(dataset_folder), path=str(path))
    with start(code, stderr=subprocess.DEVNULL) as run:
        for line in run.stdout:
            if int(line) >= BLOCK_STEPS:
                os.kill(run.pid, signal.SIGKILL)
                break
        assert run.wait() == -signal.SIGKILL
    assert sorted(os.listdir(path.parent)) == ["episode_000.h5.lock", "episode_000.h5.part"]
    assert compute_episode(Run(policy, dataset, ALL), 0, path).state == "resumed"
    assert os.listdir(path.parent) == ["episode_000.h5"]
    assert_same(finished, path)


def test_a_finished_file_is_left_alone_and_gains_methods(policy, dataset, finished, tmp_path):
    path = tmp_path / "grown" / "episode_000.h5"
    likelihood = with_methods(ALL, {"likelihood": QUICK})
    assert compute_episode(Run(policy, dataset, likelihood), 0, path).state == "computed"
    time_before = path.stat().st_mtime_ns
    assert compute_episode(Run(policy, dataset, likelihood), 0, path).state == "current"
    assert path.stat().st_mtime_ns == time_before
    policy.evaluations = 0
    assert compute_episode(Run(policy, dataset, ALL), 0, path).state == "extended"
    assert policy.evaluations == 14 * 3 * 64  # the likelihood and the chunks were not drawn again
    assert_same(finished, path)
    assert compute_episode(Run(policy, dataset, likelihood), 0, path).state == "current"


def test_a_method_that_is_being_added_does_not_hide_what_is_finished(policy, dataset, finished):
    finer = with_methods(ALL, {"likelihood": QUICK})
    path = finished.parent / "two" / "episode_000.h5"
    compute_episode(Run(policy, dataset, finer), 0, path)
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, ALL), 0, path, progress=stop)
    assert part_path(path).exists()
    assert compute_episode(Run(policy, dataset, finer), 0, path).state == "current"
    assert compute_episode(Run(policy, dataset, ALL), 0, path).state == "resumed"
    assert_same(finished, path)
    with open_cache(path) as one, open_cache(finished) as two:  # the cost is the sum over the runs
        assert one.attrs["network_evaluations"] == two.attrs["network_evaluations"]


def test_fewer_methods_go_on_with_what_is_done(policy, dataset, finished, tmp_path):
    path = tmp_path / "narrow" / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, ALL), 0, path, progress=stop)
    fewer = Run(policy, dataset, only(ALL, ["likelihood", "distance"]))
    (row,) = plan_episodes(fewer, [0], path.parent)
    assert (row["state"], row["steps_done"], row["reason"]) == (
        "partial",
        BLOCK_STEPS,
        "it was begun with noise_pred too",
    )
    policy.encodings = 0
    assert compute_episode(fewer, 0, path).state == "resumed"
    assert policy.encodings == 14 - BLOCK_STEPS
    with open_cache(path) as cache, open_cache(finished) as whole:
        assert cache.methods == ("distance", "likelihood")
        for step in range(cache.steps):
            np.testing.assert_array_equal(cache.score("likelihood", step), whole.score("likelihood", step))
    assert verify(path)["state"] == "finished"


def test_a_run_killed_before_the_last_rename_only_renames(policy, dataset, finished):
    before = shutil.copyfile(finished, finished.with_name("before.h5"))
    finished.rename(part_path(finished))
    policy.evaluations = 0
    assert compute_episode(Run(policy, dataset, ALL), 0, finished).state == "resumed"
    assert policy.evaluations == 0
    assert_same(before, finished)


def test_a_run_of_replayed_observations_goes_on_where_it_stopped(policy, dataset, tmp_path):
    settings = with_methods(ALL, {"distance": {}}, observations="replayed")
    whole, halved = tmp_path / "a" / "episode_000.h5", tmp_path / "b" / "episode_000.h5"
    compute_episode(Run(policy, dataset, settings), 0, whole)
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, settings), 0, halved, progress=stop)
    assert compute_episode(Run(policy, dataset, settings), 0, halved).state == "resumed"
    assert_same(whole, halved)


def test_a_cache_begun_without_pictures_is_extended_and_resumed_with_them(policy, dataset, tmp_path, monkeypatch):
    # As files of schema 1.1 were: the file says which parts of the drift it keeps.
    plain = dataset.load(0, policy.inputs)
    pictured = replace(plain, pictures=np.zeros((len(plain), 3, 96, 96), dtype=np.float32))
    one = with_methods(ALL, {"distance": {}})
    for name in ("finished", "partial"):
        path = tmp_path / name / "episode_000.h5"
        monkeypatch.setattr(dataset, "load", lambda *_: plain)
        if name == "finished":
            compute_episode(Run(policy, dataset, one), 0, path)
        else:
            with pytest.raises(Stop):
                compute_episode(Run(policy, dataset, one), 0, path, progress=stop)
        monkeypatch.setattr(dataset, "load", lambda *_: pictured)
        two = with_methods(ALL, {"distance": {}, "noise_pred": {"levels": 2}}) if name == "finished" else one
        outcome = compute_episode(Run(policy, dataset, two), 0, path)
        assert outcome.state == ("extended" if name == "finished" else "resumed")
        assert list(outcome.drift) == ["agent_px", "block_px", "block_rad"]
    path = tmp_path / "lost" / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, one), 0, path, progress=stop)
    monkeypatch.setattr(dataset, "load", lambda *_: plain)
    with pytest.raises(CacheError, match="was begun with a record that had picture, which it lacks now"):
        compute_episode(Run(policy, dataset, one), 0, path)


def test_a_part_that_does_not_fit_costs_no_finished_scores(policy, dataset, tmp_path):
    path = tmp_path / "episode_000.h5"
    distance, levels = {"distance": {}}, {"noise_pred": {"levels": 2}}
    compute_episode(Run(policy, dataset, with_methods(ALL, distance)), 0, path)
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, with_methods(ALL, distance | levels)), 0, path, progress=stop)
    wanted = with_methods(ALL, distance | {"noise_pred": {"levels": 1}})
    with pytest.raises(CacheError, match="levels: 2 -> 1"):
        compute_episode(Run(policy, dataset, wanted), 0, path)
    assert compute_episode(Run(policy, dataset, wanted), 0, path, Options(replace_stale=True)).state == "extended"
    assert not part_path(path).exists()
