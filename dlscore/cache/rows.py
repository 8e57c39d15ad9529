"""Reading rows of a cache's datasets: in range, finite, and of a file that is open."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from dlscore.cache.errors import CacheError
from dlscore.cache.lookup import StoredFile
from dlscore.cache.schema import COORDINATES, MAX_POSITION
from dlscore.common.arrays import Array
from dlscore.common.text import reason_of

__all__ = ["StoredRows"]

AHEAD, AHEAD_BYTES = 32, 1 << 22  # rows that are read at once where steps are read in order, and their size at most


class StoredRows:
    """An open cache file; `steps` in number, of which those in the mask `done` (T,) are complete."""

    def __init__(self, file: StoredFile, path: Path) -> None:
        self.path, self._file = path, file
        self.done: Array = np.asarray(file["done"][:], dtype=bool)
        self.steps = len(self.done)
        self._ahead: dict[str, tuple[int, Array]] = {}  # by dataset: first of the rows that were read last, and these

    def _check_open(self) -> None:
        if not self._file:
            raise CacheError(f"{self.path} is closed; open it again with open_cache")

    def _read(self, dataset: h5py.Dataset, rows: int | slice) -> Array:
        self._check_open()
        if not isinstance(rows, slice) and not 0 <= rows < self.steps:
            raise CacheError(f"step {rows} is not in {self.path}; it has steps 0 to {self.steps - 1}")
        try:
            return np.asarray(dataset[rows])
        except (OSError, RuntimeError, ValueError) as error:
            raise CacheError(
                f"{self.path} is damaged at '{dataset.name}' ({reason_of(error)}); compute it again"
            ) from error

    def _row(self, name: str, step: int) -> Array:
        # One step of a dataset. HDF5 takes longer to find a row than to read it: after two in a row, AHEAD are read.
        self._check_open()
        first, values = self._ahead.get(name, (-1, np.empty(0)))
        if not 0 <= step - first < len(values):
            dataset = self._file[name]
            wanted = self._read(dataset, step)
            rows = min(AHEAD, AHEAD_BYTES // max(1, wanted.nbytes)) if step == first + len(values) > 0 else 1
            try:
                values = self._read(dataset, slice(step, step + rows)) if rows > 1 else wanted[None]
            except CacheError:  # a later step is damaged
                values = wanted[None]
            first = step
            self._ahead[name] = first, values
        return np.array(values[step - first])

    def _small(self, name: str) -> Array:
        values = self._read(self._file[name], slice(None))
        known = values[self.done] if name not in COORDINATES else values
        if not np.isfinite(known).all():
            raise CacheError(f"{self.path}: '{name}' holds non-finite values; compute the episode again")
        if np.abs(known).max(initial=0) > MAX_POSITION:
            raise CacheError(f"{self.path}: '{name}' holds values beyond {MAX_POSITION:g}; compute the episode again")
        return values
