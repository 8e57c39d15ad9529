"""Creating the datasets of a cache file from the schema, and storing values and attributes in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from dlscore.cache.errors import CacheError
from dlscore.cache.schema import (
    BY_NAME,
    COORDINATES,
    FIELDS,
    METHOD_DIMENSIONS,
    SCHEMA,
    VERSION,
    Field,
    check_fields,
    density_fields,
    score_field,
)
from dlscore.common.arrays import Array
from dlscore.common.choices import check_known

__all__ = ["create_score", "lay_out", "set_attrs", "store"]


def lay_out(file: h5py.File, sizes: Mapping[str, int], attrs: Mapping[str, Any]) -> None:
    """Write the attributes, dimensions and datasets of a new file; `sizes` has the length of each dimension."""
    file.attrs["schema"], file.attrs["schema_version"] = SCHEMA, VERSION
    set_attrs(file, attrs)
    for dimension, size in sizes.items():
        if dimension not in COORDINATES and dimension not in COORDINATES.values():
            _create_dimension(file, dimension, size)
    for coordinate in COORDINATES:
        _create(file, BY_NAME[coordinate], sizes).make_scale(coordinate)
    for field in FIELDS:
        if field.name not in COORDINATES and (not field.optional or field.name in attrs.get("outcome", ())):
            _create(file, field, sizes)
    if attrs.get("executed_by"):
        file["expert_action"].attrs["long_name"] = "the executed action (x, y)"
    file["frames/palette"].attrs["colours"] = 0


def _create_dimension(file: h5py.File, name: str, size: int) -> None:
    scale = file.create_dataset(name, (size,), dtype="f4", track_times=False)
    scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{size:10d}")


def _create(file: h5py.File, field: Field, sizes: Mapping[str, int]) -> h5py.Dataset:
    shape = tuple(sizes[name] for name in field.shape)
    options: dict[str, Any] = {"track_times": False}
    if field.gzip is not None:
        options |= {"chunks": (1, *shape[1:]), "shuffle": True, "compression": "gzip", "compression_opts": field.gzip}
    dataset = file.create_dataset(field.name, shape, dtype=field.dtype, **options)
    dataset.attrs["units"], dataset.attrs["long_name"] = field.units, field.long_name
    coordinates = {dimension: name for name, dimension in COORDINATES.items()}
    for k, dimension in enumerate(field.shape):
        if field.shape == (dimension,) and field.name.endswith(f"/{dimension}"):
            continue  # a coordinate of a method
        if field.name not in COORDINATES:
            of_method = f"{field.name.rpartition('/')[0]}/" if dimension in METHOD_DIMENSIONS else ""
            dataset.dims[k].attach_scale(file[of_method + coordinates.get(dimension, dimension)])
    return dataset


def store(dataset: h5py.Dataset, steps: slice, values: Array) -> None:
    """Store rows; CacheError unless they have the dataset's shape."""
    expected = (len(range(*steps.indices(len(dataset)))), *dataset.shape[1:])
    if np.shape(values) != expected:  # HDF5 would broadcast it
        raise CacheError(
            f"{dataset.name[1:]} has shape {np.shape(values)} for {expected[0]} steps; its shape is {expected}"
        )
    dataset[steps] = values


def create_score(file: h5py.File, method: str, sizes: Mapping[str, int], attrs: Mapping[str, Any]) -> None:
    """Add the datasets of a method: its scores, and the checks, mixture and denoised chunks that its attributes promise."""
    set_attrs(_create(file, score_field(method), sizes), attrs)
    for check in attrs.get("checks", ()):
        check_known("check", check, check_fields(method), CacheError, f"method {method}")
    fields = density_fields(method, attrs) + [check_fields(method)[check] for check in attrs.get("checks", ())]
    own = {"component": attrs.get("components", 0), "entry": 3, "denoised": attrs.get("denoised", 0),
           "distance": len(attrs.get("distances", ()))}  # fmt: skip
    for field in fields:
        group = field.name.rpartition("/")[0]
        for dimension in set(field.shape) & (set(METHOD_DIMENSIONS) - {"distance"}):
            if f"{group}/{dimension}" not in file:
                _create_dimension(file, f"{group}/{dimension}", own[dimension])
        dataset = _create(file, field, {**sizes, **own})
        if field.name == f"{group}/distance":
            dataset[:] = attrs["distances"]
            dataset.make_scale("distance")


def set_attrs(target: h5py.HLObject, attrs: Mapping[str, Any]) -> None:
    """Set attributes: text and numbers as they are, anything else as JSON."""
    for key, value in attrs.items():
        target.attrs[key] = value if isinstance(value, str | int | float) else json.dumps(value, sort_keys=True)
