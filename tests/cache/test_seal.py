"""The seal finds bytes that changed before HDF5 reads them."""

import h5py
import pytest
from support.synthetic import tamper

from dlscore.cache import seal
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache


def test_a_byte_that_changed_is_found_before_hdf5_reads_it(tmp_path, intact, monkeypatch):
    path = tmp_path / "episode_000.h5"
    path.write_bytes(intact)
    assert seal.state(path) == "whole"
    monkeypatch.setattr(h5py, "File", None)  # as a TypeError would show
    for position in (0, 100, len(intact) // 2, len(intact) - seal.LENGTH - 1):
        blob = bytearray(intact)
        blob[position] ^= 1
        path.write_bytes(bytes(blob))
        with pytest.raises(CacheError, match="is damaged"), open_cache(path):
            pass


def test_a_file_that_was_changed_on_purpose_has_no_seal(cache):
    tamper(cache, lambda file: file.attrs.__setitem__("note", "mine"))
    assert seal.state(cache) == "none"
    with open_cache(cache) as episode:
        assert episode.attrs["note"] == "mine"
