"""The methods of two files of one run go into one."""

import os
from pathlib import Path

import numpy as np
import pytest
from support.runs import ALL, assert_same, only
from support.synthetic import rewrite, write_cache

from dlscore.cache import merge, verify
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run


@pytest.fixture
def policy_folder(quick_policy_folder) -> Path:
    return quick_policy_folder


@pytest.mark.slow
def test_methods_of_two_runs_go_into_one_file(policy, dataset, tmp_path):
    together, one, two = (tmp_path / name / "episode_000.h5" for name in ("together", "one", "two"))
    compute_episode(Run(policy, dataset, ALL), 0, together)
    for path, methods in ((one, ("likelihood",)), (two, ("distance", "noise_pred"))):
        compute_episode(Run(policy, dataset, only(ALL, methods)), 0, path)
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
    assert compute_episode(Run(policy, dataset, ALL), 0, one).state == "current"


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
