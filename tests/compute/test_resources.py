"""Disk and memory: checked before a run, estimated after its first block."""

import shutil

import pytest
from support.runs import ALL, flat

from dlscore.cache import schema
from dlscore.compute import resources
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"disk_usage": 1000}, "has 0.0 MB free, and 5 episodes need about"),
        ({"memory": 1e6}, "1.0 MB of memory are free, and this run needs about"),
    ],
)
def test_disk_and_memory_are_checked_before_the_policy_is_loaded(dlscore, options, monkeypatch, needs, words):
    if "memory" in needs:
        monkeypatch.setattr(resources, "available_memory", lambda: needs["memory"])
    else:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, needs["disk_usage"]))
    monkeypatch.setattr("dlscore.policy.load.load_policy", None)
    code, out, err = dlscore("compute", *flat(options))
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert not options["output-dir"].exists()


def test_the_expected_size_is_about_the_real_one(policy, dataset, tmp_path):
    path = tmp_path / "episode_000.h5"
    compute_episode(Run(policy, dataset, ALL), 0, path)
    expected = schema.cache_bytes(14, 8, 3, 2, 16)
    assert 0.5 * path.stat().st_size < expected < 2.5 * path.stat().st_size


def test_time_and_size_are_told_after_the_first_block(dlscore, options):
    code, _, err = dlscore("compute", *flat(options))
    assert code == 0
    assert [line for line in err.splitlines() if "70 steps of 5 episodes: about " in line and "by the first 10" in line]


def test_room_is_asked_for_what_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 25))
    resources.check_disk(tmp_path, [5.0, 10.0])  # and once more 10
    with pytest.raises(resources.ResourceError, match="3 episodes need about"):
        resources.check_disk(tmp_path, [5.0], [10.0, 11.0])
