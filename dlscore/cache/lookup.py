"""An open HDF5 file whose datasets and attributes are looked up once: h5py takes a tenth of a millisecond for each."""

from __future__ import annotations

from typing import Any

import h5py

from dlscore.cache.schema import json_or_text

__all__ = ["StoredFile"]


class StoredFile:
    """A file that is read, and not changed: `get` its datasets and groups, `attrs` of them; false when it is closed."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file
        self._found: dict[str, Any] = {}
        self._attrs: dict[str, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self.file)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __getitem__(self, name: str) -> Any:
        if (found := self.get(name)) is None:
            raise KeyError(f"no '{name}'")
        return found

    def get(self, name: str) -> h5py.HLObject | None:
        """The dataset or group of this name; None if there is none."""
        if name not in self._found:
            try:
                self._found[name] = self.file[name]
            except KeyError:
                self._found[name] = None
        return self._found[name]

    def attrs(self, name: str = "/") -> dict[str, Any]:
        """The attributes of a dataset or group, without HDF5's own, which are in capitals."""
        if name not in self._attrs:
            stored = self[name].attrs
            self._attrs[name] = {key: json_or_text(stored[key]) for key in stored if not key.isupper()}
        return self._attrs[name]
