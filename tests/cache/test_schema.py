"""The table of fields is what is in a file, with units and dimension scales that xarray understands."""

import h5py
import pytest

from dlscore.cache.schema import FIELDS


def test_every_field_of_the_table_is_there_with_units_and_scales(cache):
    with h5py.File(cache) as file:
        for field in FIELDS:
            if field.optional:  # the data set has no outcome
                assert field.name not in file
                continue
            assert file[field.name].dtype == field.dtype
            assert file[field.name].attrs["units"] == field.units
        assert file["scores/likelihood"].dims[0].keys() == ["time"]
        assert file["scores/likelihood"].dims[1].keys() == ["y"]
        assert file["scores/likelihood"].dims[2].keys() == ["x"]


def test_xarray_opens_it(cache):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xarray.open_datatree(cache, engine="h5netcdf") as tree:
        assert tree["scores/likelihood"].dims == ("time", "y", "x")
        assert float(tree["expert_action"][0, 1]) == 400
