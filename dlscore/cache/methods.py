"""What a cache has of each scoring method: scores, what they mean, checks, and the density itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.cache.errors import CacheError
from dlscore.cache.layout import required_checks
from dlscore.cache.lookup import StoredFile
from dlscore.cache.mixtures import PARTS, mixture_of
from dlscore.cache.rows import StoredRows
from dlscore.cache.schema import RECORDED, Field, density_fields, score_field
from dlscore.common.arrays import Array
from dlscore.common.choices import suggest
from dlscore.density.mixture import Mixture
from dlscore.density.regions import mass_inside
from dlscore.density.together import prepare_together
from dlscore.grid import Grid

__all__ = ["StoredMethods"]


KEPT = 200_000  # components of mixtures, about 40 MB with what is computed from them: 347 steps of the demo


class StoredMethods(StoredRows):
    """The methods of an open cache file, by name; a step at a time is read."""

    def __init__(self, file: StoredFile, path: Path) -> None:
        super().__init__(file, path)
        self.grid = Grid(len(file["x"]))
        self.methods: tuple[str, ...] = tuple(sorted(file["scores"]))
        self._score_attrs = {
            method: {key: value for key, value in file.attrs(f"scores/{method}").items() if key.islower()}
            for method in self.methods
        }
        self._mixtures: dict[tuple[str, int], Mixture] = {}

    def score_attrs(self, method: str) -> dict[str, Any]:
        """Units, definition, parameters and network evaluations per step of a method."""
        self._check_method(method)
        return self._score_attrs[method]

    def is_density(self, method: str) -> bool:
        """Whether a method's scores are log densities: exp(score) · cell area is probability."""
        return bool(self.score_attrs(method)["kind"] == "log_density")

    def checks(self, method: str) -> dict[str, Array]:
        """(T,) float32 of each check that the method has: `error`, `inside`, those of earlier versions; {} for most methods."""
        found = {name: field for name, field in self._promised(method).items()
                 if field.shape == ("step",) and name not in RECORDED}  # fmt: skip
        return {name: self._small(field.name) for name, field in found.items()}

    def inside(self, method: str) -> Array:
        """(T,) probability inside the grid, of a method that is a density; steps that are not done have 0."""
        found = self.checks(method).get("inside")
        if found is None:  # a file of an earlier version
            found = np.zeros(self.steps, dtype=np.float32)
            for step in map(int, np.flatnonzero(self.done)):
                found[step] = mass_inside(self.score(method, step), self.grid.cell_area)
        return found

    def own_ranks(self, method: str) -> Array | None:
        """(T, M) float32: ranks of the drawn chunks' current actions among the density's regions; None where there are none."""
        field = self._promised(method).get("own_rank")
        return None if field is None else self._small(field.name)

    def recorded(self, method: str) -> dict[str, Array] | None:
        """Where the recorded action lies in the method's density, (T,) float32 each; None where the file does not say.

        `log_density` [nats / px²] at the point; `rank` among highest-density regions, uniform if the actions are of the
        density, between `rank_low` and `rank_high` at random where densities tie.
        """
        promised = self._promised(method)
        if not set(RECORDED) <= set(promised):
            return None
        return {name.removeprefix("recorded_"): self._small(promised[name].name) for name in RECORDED}

    def log_error(self, method: str) -> tuple[Array, Array] | None:
        """(B,) distances below the peak [nats], each the upper end of a bin, and (T, B) error of the log density there."""
        field = self._promised(method).get("log_error")
        if field is None:
            return None
        return np.asarray(self.score_attrs(method)["distances"], dtype=np.float32), self._small(field.name)

    def has_mixture(self, method: str) -> bool:
        """Whether the file holds the method's density itself, as a mixture of Gaussians."""
        return bool(self.score_attrs(method).get("components"))

    def mixture(self, method: str, step: int) -> Mixture:
        """The density of the current action at one step, exactly: at any point, beyond the grid, as draws.

        The first that are read are kept, up to KEPT components, for callers that go over the steps more than once.
        """
        if (method, step) in self._mixtures:
            self._check_open()
            return self._mixtures[method, step]
        if not self.has_mixture(method):
            why = "its scorer has none, or an earlier version made the file"
            raise CacheError(
                f"{self.path} has no mixture of {method} ({why}); choose another method, or compute it again"
            )
        self._check_open()
        parts = {part: self._row(f"mixture/{method}/{part}", step) for part in PARTS}
        found = mixture_of(parts, self.score_attrs(method), self.path)
        if (len(self._mixtures) + 1) * len(found.weight) <= KEPT:
            self._mixtures[method, step] = found
        return found

    def mixtures(self, method: str, steps: Sequence[int]) -> list[Mixture]:
        """The same of several steps, in less time than one by one."""
        found = [self.mixture(method, step) for step in steps]
        prepare_together(found)
        return found

    def denoised_chunks(self, method: str, step: int) -> Array:
        """(D, H, 2) float32 px: chunks of one step at the finest noise level; D is 0 where the file has none."""
        if not self.score_attrs(method).get("denoised"):
            return np.empty((0, *self._file["predicted_chunks"].shape[2:]), dtype=np.float32)
        return self._row(f"mixture/{method}/denoised_chunks", step)

    def score(self, method: str, step: int) -> Array:
        """(N, N) float32 scores [y, x] of one step."""
        self._check_method(method)
        values = self._row(f"scores/{method}", step)
        if not np.isfinite(values).all():
            raise CacheError(f"{self.path}: scores/{method} of step {step} holds non-finite values; score it again")
        return values

    def method_arrays(self, method: str, steps: slice) -> dict[str, Array]:
        """Everything that the file has of a method at these steps, by field name, as it is stored."""
        fields = [
            score_field(method),
            *self._promised(method).values(),
            *density_fields(method, self.score_attrs(method)),
        ]
        return {field.name: self._read(self._file[field.name], steps) for field in fields if field.shape[0] == "step"}

    def _promised(self, method: str) -> dict[str, Field]:
        self._check_method(method)
        self._check_open()
        return required_checks(self._file, method)

    def _check_method(self, method: str) -> None:
        if method not in self.methods:
            raise CacheError(f"{self.path} has no scores of method '{method}'; {suggest(method, self.methods)}")
