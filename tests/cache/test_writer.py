"""Blocks of steps are written whole or not at all, and a finished name is a finished file."""

import errno
import os
import shutil

import numpy as np
import pytest
from support.synthetic import write_cache

from dlscore.cache.errors import BusyError, CacheError, FolderError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import FRAMES, part_path
from dlscore.cache.writer import CacheWriter, _draft


def test_an_unfinished_episode_has_no_finished_name(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    assert not path.exists()
    with pytest.raises(CacheError, match="unfinished: run dlscore compute again"), open_cache(path):
        pass
    with pytest.raises(CacheError, match="3 of 6 steps"), open_cache(part_path(path)):
        pass
    with open_cache(part_path(path), partial=True) as episode:
        assert episode.done.tolist() == [True] * 3 + [False] * 3
    with pytest.raises(CacheError, match="3 steps are missing"):
        CacheWriter(path).finish()


def test_values_that_are_not_finite_never_reach_the_file(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    writer, before = CacheWriter(path), part_path(path).read_bytes()
    with pytest.raises(CacheError, match="expert_action of steps 3 to 3 holds non-finite values"):
        writer.write(slice(3, 4), {"expert_action": np.array([[np.nan, 0]])})
    assert not writer.done[3]
    assert part_path(path).read_bytes() == before


def test_more_colours_than_the_palette_holds_are_refused(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    noise = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3), dtype=np.uint8)
    with pytest.raises(CacheError, match="more than 256 colours"):
        CacheWriter(path).write(slice(3, 4), {FRAMES: noise})


def test_extending_keeps_the_finished_file_until_the_end(cache):
    before = cache.read_bytes()
    attrs = {"kind": "score", "units": "nats", "parameters": {}, "definition": "", "evaluations_per_step": 1}
    writer = CacheWriter.extend(cache, {"noise_pred": attrs})
    assert writer.extending == ["noise_pred"]
    assert cache.read_bytes() == before
    writer.write(slice(0, 6), {"scores/noise_pred": np.ones((6, 32, 32))})
    assert cache.read_bytes() == before
    writer.finish()
    with open_cache(cache) as episode:
        assert episode.methods == ("distance", "likelihood", "noise_pred")
        assert "extending" not in episode.attrs
        np.testing.assert_allclose(episode.expert_action[0], [100, 400])


@pytest.mark.parametrize("fails", ["copyfile", "replace", "fsync"])
def test_a_block_that_cannot_be_written_leaves_the_part_as_it_was(tmp_path, monkeypatch, fails):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    before, writer = part_path(path).read_bytes(), CacheWriter(path)

    def full(*_):
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(shutil if fails == "copyfile" else os, fails, full)
    with pytest.raises(FolderError, match=r"cannot write .*draft \(No space left on device\)"):
        writer.write(slice(3, 4), {"predicted_action": np.zeros((1, 2))})
    assert part_path(path).read_bytes() == before
    assert os.listdir(tmp_path) == ["episode_000.h5.part"]
    assert not writer.done[3]
    monkeypatch.undo()
    writer.write(slice(3, 4), {"predicted_action": np.zeros((1, 2))})


def test_a_lock_that_was_lost_keeps_the_part_as_it_was(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    before = part_path(path).read_bytes()

    lost = []

    def still_ours():
        if lost:
            raise BusyError("taken over")

    writer = CacheWriter(path, still_ours)
    lost.append(True)
    with pytest.raises(BusyError, match="taken over"):
        writer.write(slice(3, 4), {"predicted_action": np.zeros((1, 2))})
    assert part_path(path).read_bytes() == before


def test_a_run_that_was_suspended_in_a_block_leaves_the_other_ones_work(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    block, lost = {"predicted_action": np.ones((1, 2))}, []

    def still_ours():
        if lost:
            raise BusyError("taken over")

    def suspended():
        with _draft(path, part_path(path), still_ours) as file:  # it sleeps in here
            CacheWriter(path).write(slice(3, 4), block)
            lost.append(True)
            file["predicted_action"][:] = 7

    with pytest.raises(BusyError):
        suspended()
    with open_cache(part_path(path), partial=True) as episode:
        assert episode.done.tolist() == [True] * 4 + [False] * 2
        assert (episode.predicted_action[3] == 1).all()
    assert os.listdir(tmp_path) == ["episode_000.h5.part"]
    with pytest.raises(BusyError):
        CacheWriter(path, still_ours)
