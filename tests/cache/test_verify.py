"""`dlscore verify`: damage is found and named."""

import json

import h5py
import numpy as np
import pytest
from support.damage import damaged
from support.synthetic import write_cache

from dlrender import cli
from dlscore.cache import checksums
from dlscore.cache.checksums import number_arrays
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.cache.verify import verify
from dlscore.cli import commands


def test_a_whole_file_is_verified(cache, dlscore):
    code, out, _ = dlscore("verify", cache)
    assert code == 0
    assert "intact, 6 of 6 steps of distance, likelihood; " in out
    assert "attributes match their checksums; sealed" in out
    code, out, _ = dlscore("verify", cache, "--json")
    found = json.loads(out)["files"][0]
    with h5py.File(cache) as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset) and name not in checksums.DIMENSIONS]
        attrs = [key for item in (file, *(file[name] for name in names)) for key in item.attrs if not key.isupper()]
    assert found["checksums"]["arrays"] == len(names) + 4  # frames: two, scores: two
    assert found["checksums"]["attributes"] >= len(attrs) - 1  # all but the table of them


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


@pytest.mark.slow
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


def test_a_cache_that_xarray_wrote_again_is_the_same_cache(cache, tmp_path):
    xarray = pytest.importorskip("xarray")
    again = tmp_path / "again" / "episode_000.h5"
    again.parent.mkdir()
    with xarray.open_datatree(cache, engine="h5netcdf") as tree:
        tree.load().to_netcdf(again, engine="h5netcdf")
    found = verify(again)
    assert found["state"] == "finished"
    assert found["checksums"] == verify(cache)["checksums"]
    with open_cache(cache) as one, open_cache(again) as two:
        np.testing.assert_array_equal(one.score("likelihood", 3), two.score("likelihood", 3))
        assert {name: two.attrs[name] for name in one.attrs} == one.attrs


def test_no_convention_is_claimed_that_is_not_kept(cache):
    with h5py.File(cache) as file:
        assert "Conventions" not in file.attrs
