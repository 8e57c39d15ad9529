"""Checks that an HDF5 file is a cache: names, types, shapes, storage and attributes, before any data are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from dlscore.cache.drift import DRIFT_UNITS, stored_parts
from dlscore.cache.errors import CacheError, ForeignError
from dlscore.cache.lookup import StoredFile
from dlscore.cache.schema import (
    DENSITY_ATTRS,
    FIELDS,
    FIXED_DIMENSIONS,
    MAX_BYTES,
    MAX_STEPS,
    MORE_ATTRS,
    ROOT_ATTRS,
    SCHEMA,
    SCORE_ATTRS,
    VERSION,
    Field,
    check_fields,
    density_fields,
    parse_version,
    score_field,
)
from dlscore.common.world import WORLD_SIZE
from dlscore.grid import RESOLUTIONS, Grid


def check_layout(file: StoredFile, path: Path) -> dict[str, int]:
    """The length of each dimension. Raises CacheError for a damaged cache, ForeignError for a file of another kind."""
    version = _check_schema(file, path)
    if not isinstance(file.get("scores"), h5py.Group):
        raise _damaged(path, "no group 'scores'")
    _check_attrs(file, path, "/", ROOT_ATTRS, MORE_ATTRS)
    for method in file["scores"]:
        _check_attrs(file, path, f"scores/{method}", SCORE_ATTRS, DENSITY_ATTRS)
    promised = file.attrs().get("outcome", ())
    present = [field for field in FIELDS if field.name in file or field.is_required(version) or field.name in promised]
    scores = [score_field(name) for name in file["scores"]]
    sizes = dict(FIXED_DIMENSIONS)
    for field in (*present, *scores):
        _check_field(file, path, field, sizes)
    for name in file["scores"]:
        _check_density(file, path, name, dict(sizes))
    _check_grid(file, path, sizes)
    parts = stored_parts(file.attrs("drift"))
    if len(parts) != sizes["drift_part"] or not set(parts) <= set(DRIFT_UNITS):
        raise _damaged(path, f"drift of {sizes['drift_part']} parts {parts}")
    return sizes


def _check_schema(file: StoredFile, path: Path) -> str:
    schema, version = file.attrs().get("schema"), str(file.attrs().get("schema_version", ""))
    if schema != SCHEMA:
        raise ForeignError(
            f"{path} is an HDF5 file, but not a dlscore cache (schema {schema!r}); give one that dlscore wrote"
        )
    if parse_version(version)[:1] != parse_version(VERSION)[:1]:
        raise ForeignError(
            f"{path} has schema {version}; this version reads {VERSION.split('.')[0]}.x: install the one that wrote it"
        )
    return version


def _check_field(file: StoredFile, path: Path, field: Field, sizes: dict[str, int]) -> None:
    # Type, shape and storage of a dataset; dimensions that are met for the first time are added to `sizes`.
    dataset = file.get(field.name)
    if not isinstance(dataset, h5py.Dataset):
        raise _damaged(path, f"no dataset '{field.name}'")
    kind, shape = dataset.dtype, dataset.shape  # each takes h5py a hundredth of a millisecond
    if kind != np.dtype(field.dtype) or len(shape) != len(field.shape):
        wanted = f"{field.dtype} ({', '.join(field.shape)})"
        raise _damaged(path, f"'{field.name}' is {kind} {shape}, not {wanted}")
    # A chunk is unpacked as a whole, and everything but scores and frames is read at once.
    together = shape if field.gzip is None else dataset.chunks or ()
    if math.prod(together) * kind.itemsize > MAX_BYTES or dataset.is_virtual or dataset.external:
        raise _damaged(path, f"'{field.name}' is stored as no cache stores it")
    for dimension, size in zip(field.shape, shape, strict=True):
        if sizes.setdefault(dimension, size) != size or size < 1:
            raise _damaged(path, f"'{field.name}' has {size} along {dimension}, not {sizes[dimension]}")


def _check_density(file: StoredFile, path: Path, method: str, sizes: dict[str, int]) -> None:
    # The dimensions of a method are its own, and as long as its attributes say.
    attrs = file.attrs(f"scores/{method}")
    sizes |= {"component": attrs.get("components", 0), "entry": 3, "denoised": attrs.get("denoised", 0),
              "distance": len(attrs.get("distances", ()))}  # fmt: skip
    for field in (*density_fields(method, attrs), *required_checks(file, method).values()):
        _check_field(file, path, field, sizes)


def _check_grid(file: StoredFile, path: Path, sizes: Mapping[str, int]) -> None:
    n = sizes["x"]
    if sizes["y"] != n or not RESOLUTIONS[0] <= n <= RESOLUTIONS[1] or sizes["step"] > MAX_STEPS:
        raise _damaged(path, f"{sizes['step']} steps of {sizes['y']} × {n} cells")
    for axis in ("x", "y"):
        if not np.allclose(file[axis][:], Grid(n).centres, atol=1e-6 * WORLD_SIZE):
            raise CacheError(
                f"{path}: its '{axis}' is not the grid of {n} cells over {WORLD_SIZE:g} px; compute it again"
            )


def _damaged(path: Path, what: str) -> CacheError:
    return CacheError(f"{path} is damaged ({what}); compute it again")


def required_checks(file: StoredFile, method: str) -> dict[str, Field]:
    """The fields of the checks that a method's attributes promise, by name; one that is missing is damage."""
    promised = list(file.attrs(f"scores/{method}").get("checks", ()))
    return {name: field for name, field in check_fields(method).items() if name in promised}


def _check_attrs(file: StoredFile, path: Path, name: str, needed: Mapping[str, type], more: Mapping[str, type]) -> None:
    of, attrs = "" if name == "/" else f" of {name}", file.attrs(name)
    if lacking := [key for key in needed if key not in attrs]:
        raise CacheError(f"{path} lacks the attribute {', '.join(lacking)}{of}; compute it again")
    for key, kind in {**needed, **more}.items():
        value = attrs.get(key, kind())
        if not isinstance(value, int | float if kind is float else kind):
            raise CacheError(f"{path} is damaged (the attribute {key}{of} is {str(value)[:60]!r}); compute it again")
