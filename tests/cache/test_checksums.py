"""What dlscore wrote has checksums; what somebody added to a file is theirs."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.synthetic import tamper, write_cache

from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.cache.writer import CacheWriter


def _later(file):
    file.create_dataset("from_the_future", data=np.arange(3))
    file["state"].attrs["note"] = "mine"
    file.copy("state", "doubled")  # with its attributes, as xarray keeps them too
    file["doubled"][:] *= 2
    kind = h5py.h5t.UNIX_D32LE  # which numpy has not
    h5py.h5d.create(file.id, b"times", kind, h5py.h5s.create_simple((3,)))


def test_unknown_extras_are_ignored(cache):
    tamper(cache, _later)
    with open_cache(cache) as episode:
        assert episode.steps == 6


def test_what_somebody_added_stays_theirs_when_a_method_is_added(cache):
    tamper(cache, _later)
    writer = CacheWriter.extend(cache, {"noise_pred": {"kind": "score", "units": "1", "parameters": {}, "definition": "",
                                                       "evaluations_per_step": 1}})  # fmt: skip
    writer.write(slice(0, 6), {"scores/noise_pred": np.ones((6, 32, 32))})
    writer.finish()
    tamper(cache, lambda file: file["doubled"].__setitem__(0, 7))
    tamper(cache, lambda file: file["state"].attrs.__setitem__("note", "mine again"))
    with open_cache(cache) as episode:
        assert "noise_pred" in episode.methods
    tamper(cache, lambda file: file["scores/noise_pred"].__setitem__(0, 7))
    with pytest.raises(CacheError, match="'scores/noise_pred' does not match its checksum"), open_cache(cache):
        pass


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
    assert "episode_002.h5: intact" in out
