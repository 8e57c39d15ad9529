"""Looking up the datasets and attributes of an open file."""

import h5py
import pytest

from dlscore.cache.lookup import StoredFile


@pytest.fixture
def stored(tmp_path):
    with h5py.File(tmp_path / "some.h5", "w") as file:
        file.attrs["seed"], file.attrs["parts"] = 3, '["x", "y"]'
        file["time"] = [0.0, 0.1]
        file["time"].make_scale("step")
        file["time"].attrs["units"] = "s"
        yield StoredFile(file)


def test_what_is_there_is_found_once(stored):
    assert stored["time"].shape == (2,)
    assert stored["time"] is stored.get("time")
    assert "time" in stored


def test_what_is_absent_is_none_and_a_key_error(stored):
    assert stored.get("space") is None
    assert "space" not in stored
    with pytest.raises(KeyError, match="space"):
        stored["space"]


def test_attributes_are_values_without_those_of_hdf5(stored):
    assert stored.attrs() == {"seed": 3, "parts": ["x", "y"]}
    assert stored.attrs("time") == {"units": "s"}


def test_a_closed_file_is_false(stored):
    assert stored
    stored.file.close()
    assert not stored
