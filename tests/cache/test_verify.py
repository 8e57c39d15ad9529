"""Finished caches: damage is found and named, and the methods of two files go into one."""

import functools
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.damage import damaged
from support.runs import ALL, assert_same, only
from support.synthetic import rewrite, write_cache

from dlrender import cli
from dlscore.cache import checksums, merge, verify
from dlscore.cache.checksums import number_arrays
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.cli import commands
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run


@pytest.fixture
def policy_folder(quick_policy_folder) -> Path:
    return quick_policy_folder


@pytest.fixture
def cache(tmp_path) -> Path:
    return write_cache(tmp_path / "episode_000.h5")


@pytest.fixture
def dlscore(command):
    return functools.partial(command, commands)


def test_a_whole_file_is_verified(cache, dlscore):
    code, out, _ = dlscore("verify", cache)
    assert code == 0
    assert "intact, 6 of 6 steps of distance, likelihood; " in out
    assert "attributes match their checksums; sealed" in out
    code, out, _ = dlscore("verify", cache, "--json")
    found = json.loads(out)["files"][0]
    with h5py.File(cache) as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]
        attrs = [key for item in (file, *(file[name] for name in file)) for key in item.attrs if not key.isupper()]
    assert found["checksums"]["arrays"] == len(names) + 4  # frames: two, scores: two
    assert found["checksums"]["attributes"] >= len(attrs) - 1  # all but the table of them


def test_changed_values_and_names_are_named(cache, dlscore, tmp_path):
    other = Path(shutil.copyfile(cache, tmp_path / "episode_001.h5"))
    with h5py.File(cache, "r+") as file:
        file["state"][3, 0] += 1
    with h5py.File(other, "r+") as file:
        file.move("scores/likelihood", "scores/another")
    code, out, err = dlscore("verify", cache, other, write_cache(tmp_path / "episode_002.h5"))
    assert code == 1
    assert "episode_000.h5 was changed since dlscore wrote it ('state' does not match its checksum)" in err
    assert "episode_001.h5 was changed since dlscore wrote it ('scores/likelihood' is gone)" in err
    assert err.splitlines()[-1] == "dlscore: error: 2 of 3 files are damaged; see above"
    assert "episode_002.h5: whole" in out


def test_an_unfinished_file_is_whole_as_far_as_it_goes(tmp_path, dlscore):
    part = part_path(write_cache(tmp_path / "episode_000.h5", finish=False))
    code, out, _ = dlscore("verify", part)
    assert code == 0
    assert "intact so far, 3 of 6 steps" in out
    part.rename(tmp_path / "episode_000.h5")
    assert dlscore("verify", tmp_path / "episode_000.h5")[0] == 1


def test_a_file_of_schema_1_2_has_nothing_to_compare_with(cache, dlscore):
    with h5py.File(cache, "r+") as file:
        file.attrs["schema_version"] = "1.2"
        del file.attrs[checksums.ATTRIBUTES]
        for array in number_arrays(file):
            del array.attrs["sha256"]
    code, out, _ = dlscore("verify", cache)
    assert code == 0
    assert "no checksums (schema 1.2); no seal" in out


def test_a_file_of_schema_1_3_has_checksums_of_arrays_only(cache, dlscore):
    with h5py.File(cache, "r+") as file:
        file.attrs["schema_version"] = "1.3"
        del file.attrs[checksums.ATTRIBUTES]
    assert "arrays and 0 attributes match their checksums" in dlscore("verify", cache)[1]
    with h5py.File(cache, "r+") as file:
        file["state"][3, 0] += 1
    assert "'state' does not match its checksum" in dlscore("verify", cache)[2]


def test_damaged_files_are_answered_in_one_line_or_rightly(tmp_path, command):
    # The small version of make bench-damage.
    intact = write_cache(tmp_path / "intact" / "episode_000.h5", steps=3, resolution=8)
    path, refused = tmp_path / "episode_000.h5", 0
    for seed in [*range(58), 316, 1400]:  # the last two were internal errors once
        change = damaged(intact.read_bytes(), seed, path)
        for program, *argv in ((commands, "verify", path), (commands, "info", path, "--json"),
                               (cli, "still", path, "--step", 5, "-o", tmp_path / "x.png")):  # fmt: skip
            code, _, err = command(program, *argv)
            assert code in (0, 1), (seed, change)
            assert err.count("error:") == code, (seed, change, err)
            assert "internal error" not in err, (seed, change, err)
            refused += code if program is commands else 0
    assert refused > 60


def test_methods_of_two_runs_go_into_one_file(policy, source, tmp_path):
    together, one, two = (tmp_path / name / "episode_000.h5" for name in ("together", "one", "two"))
    compute_episode(Run(policy, source, ALL), 0, together)
    for path, methods in ((one, ("likelihood",)), (two, ("distance", "noise_pred"))):
        compute_episode(Run(policy, source, only(ALL, methods)), 0, path)
    other = two.read_bytes()
    assert merge.merge(one, [two]) == ["distance", "noise_pred"]
    assert two.read_bytes() == other
    assert os.listdir(one.parent) == ["episode_000.h5"]
    with open_cache(together) as reference:  # the cost is of the run that is merged into
        cost = reference.attrs["network_evaluations"]
    rewrite(one, lambda file: file.attrs.__setitem__("network_evaluations", cost))
    assert_same(together, one)
    assert verify.verify(one)["checksums"] == verify.verify(together)["checksums"]
    assert merge.merge(one, [two]) == []
    assert compute_episode(Run(policy, source, ALL), 0, one).state == "current"


def test_files_of_other_runs_are_not_merged(cache, tmp_path, dlscore):
    other = write_cache(tmp_path / "other" / "episode_000.h5", methods=("noise_pred",))
    code, out, _ = dlscore("merge", cache, other)
    assert code == 0
    assert "noise_pred added" in out
    with open_cache(cache) as episode:
        assert episode.methods == ("distance", "likelihood", "noise_pred")
    before = cache.read_bytes()
    moved = write_cache(tmp_path / "moved" / "episode_000.h5", expert=np.array([1.0, 2.0]))
    with pytest.raises(CacheError, match=r"is not of the run of .*its predictions or states differ"):
        merge.merge(cache, [moved])
    rewrite(other, lambda file: file["scores/noise_pred"].attrs.__setitem__("parameters", '{"levels": 9}'))
    code, _, err = dlscore("merge", cache, other)
    assert code == 1
    assert "scored noise_pred with other settings (levels: null -> 9); keep the files apart" in err
    assert cache.read_bytes() == before


def test_a_merge_that_was_interrupted_leaves_the_file_and_can_be_given_again(cache, tmp_path, monkeypatch):
    other = write_cache(tmp_path / "other" / "episode_000.h5", methods=("noise_pred",))
    before = cache.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(merge, "_scores", interrupt)
    with pytest.raises(KeyboardInterrupt):
        merge.merge(cache, [other])
    assert cache.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["episode_000.h5", "other"]
    monkeypatch.undo()
    assert merge.merge(cache, [other]) == ["noise_pred"]
    with pytest.raises(CacheError, match="is not a file"):
        merge.merge(tmp_path / "typo" / "episode_000.h5", [other])
    assert not (tmp_path / "typo").exists()
