"""Checksums in a finished cache: of every array, and of every attribute that dlscore wrote.

They find what the seal cannot: a file that another program has changed has no seal. Data that it added are ignored; data
that it altered are reported by name.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from typing import Any

import h5py
import numpy as np

from dlscore.cache.schema import FIXED_DIMENSIONS

ARRAY = "sha256"  # an attribute of every array
ATTRIBUTES = "attribute_checksums"  # of the file: {object: {attribute: CRC-32}}
OF_HDF5 = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST")  # of HDF5 itself, with addresses in the file


# Dimensions without coordinates: their data sets hold nothing, and netCDF writers put them where they like.
DIMENSIONS = ("sample", "horizon", "drift_part", "component", "entry", "denoised", *FIXED_DIMENSIONS)


def record(file: h5py.File) -> None:
    """Store the checksums of everything that dlscore wrote. In an extended file: of what had them, and of the new scores."""
    before, sums = _recorded(file), {}
    for name, item in _objects(file).items():
        if before and name not in before and not name.startswith(("scores", "checks", "mixture")):
            continue
        if _is_numbers(item):
            item.attrs[ARRAY] = checksum(item)
        keys = [key for key in before.get(name, item.attrs) if key in item.attrs and key not in (*OF_HDF5, ATTRIBUTES)]
        sums[name] = {key: attribute_checksum(item.attrs[key]) for key in keys}
    file.attrs[ATTRIBUTES] = json.dumps(sums, sort_keys=True)


def count(file: h5py.File) -> tuple[int, int]:
    """How many arrays and how many attributes have checksums; (n, 0) in a file of schema 1.3, (0, 0) before."""
    attributes = sum(len(sums) for sums in _recorded(file).values())
    return sum(ARRAY in array.attrs for array in number_arrays(file)), attributes


def differences(file: h5py.File) -> list[str]:
    """The names of arrays and attributes that do not match their checksums. What has none is not checked."""
    objects, recorded, found = _objects(file), _recorded(file), []
    for name, sums in recorded.items():
        if _is_dimension(name):  # files of schema 1.4 may have these
            continue
        if name not in objects:
            found.append(f"'{name}' is gone")
            continue
        attrs, of = objects[name].attrs, "" if name == "/" else f" of '{name}'"
        for key, value in sums.items():
            if key not in attrs:
                found.append(f"the attribute {key}{of} is gone")
            elif attribute_checksum(attrs[key]) != value:
                found.append(f"the attribute {key}{of} does not match its checksum")
    for name, item in objects.items():
        if (
            recorded and name not in recorded
        ):  # not written by dlscore; it may be a copy that carries a checksum attribute
            continue
        if _is_numbers(item) and ARRAY in item.attrs and checksum(item) != item.attrs[ARRAY]:
            found.append(f"'{name}' does not match its checksum")
    return found


def number_arrays(file: h5py.File) -> list[h5py.Dataset]:
    """Every numeric array in the file, in the schema or not."""
    return [item for item in _objects(file).values() if _is_numbers(item)]


def checksum(array: h5py.Dataset) -> str:
    """SHA-256 of an array's name, type, shape and values, about 1 MB of which are read at once."""
    digest = hashlib.sha256(f"{array.name} {array.dtype.str} {array.shape}".encode())
    rows = max(1, (1 << 20) // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows]).tobytes())
    return digest.hexdigest()


def attribute_checksum(value: Any) -> str:
    """CRC-32 of an attribute's type and value. A number and an array of that one number are the same: xarray writes arrays."""
    value = value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value
    plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return f"{zlib.crc32(f'{type(value).__name__} {plain!r}'.encode(errors='backslashreplace')):08x}"


def _is_dimension(name: str) -> bool:
    return name.rpartition("/")[2] in DIMENSIONS and not name.startswith("scores/")  # a method may have any name


def _is_numbers(item: h5py.Group | h5py.Dataset) -> bool:
    try:
        return bool(isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf" and item.shape)
    except TypeError:  # a type that numpy does not have
        return False


def _objects(file: h5py.File) -> dict[str, h5py.Group | h5py.Dataset]:
    # Everything in the file by its name, the file itself as "/"; but not what only stands for a dimension.
    found: dict[str, h5py.Group | h5py.Dataset] = {"/": file}
    file.visititems(found.__setitem__)
    return {name: item for name, item in found.items() if not _is_dimension(name)}


def _recorded(file: h5py.File) -> dict[str, dict[str, str]]:
    found = json.loads(file.attrs.get(ATTRIBUTES, "{}"))
    if not isinstance(found, dict) or not all(isinstance(sums, dict) for sums in found.values()):
        raise ValueError(f"the attribute {ATTRIBUTES} is not a table")
    return found
