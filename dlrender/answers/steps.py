"""One step of an episode as statistics see it: its density as weighted points, its modes, its chunks, and the step before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dlrender.answers.ahead import Ahead, rng_of
from dlrender.answers.modes import Mode, find_modes
from dlrender.answers.points import WeightedPoints
from dlrender.answers.samples import energy_distance
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.density.mixture import Mixture

LARGEST_ERROR, LEAST_INSIDE = 0.1, 0.99  # of a step's density: beyond these, its modes cannot be told
OPTIONAL = ("reward", "success", "executed/entry")  # fields that a file need not have
AHEAD = 16  # densities that are found at a time


@dataclass(eq=False)
class Episode:
    """An open cache under one method, and what all its steps share."""

    cache: EpisodeCache
    method: str
    _ahead: Ahead | None = field(default=None, init=False)

    @cached_property
    def numbers(self) -> Array:
        """(T,) indices of the steps in the episode."""
        return np.arange(self.cache.steps) * self.cache.every

    @cached_property
    def actions(self) -> Array:
        """(T, 2) px: the actions that were recorded, by the expert or by the policy that acted."""
        return self.cache.expert_action.astype(np.float64)

    @cached_property
    def checks(self) -> dict[str, Array]:
        """(T,) of each check of the density; `inside` also for files that do not store it."""
        return {**self.cache.checks(self.method), "inside": self.cache.inside(self.method)}

    @cached_property
    def log_error(self) -> tuple[Array, Array] | None:
        """Upper ends (B,) of bins of the distance below the peak [nats], and the error (T, B) of the log density there."""
        return self.cache.log_error(self.method)

    @cached_property
    def own_ranks(self) -> Array | None:
        """(T, M) ranks of the policy's own draws; None where the file has none."""
        return self.cache.own_ranks(self.method)

    @cached_property
    def own_rank(self) -> Array:
        """(T,) their mean; nan where the file has none."""
        return np.full(self.cache.steps, np.nan) if self.own_ranks is None else self.own_ranks.mean(axis=1)

    @cached_property
    def fields(self) -> dict[str, Array | None]:
        """(T,) of each of OPTIONAL, None where the file does not have it."""
        return {name: self.cache.array(name) if self.cache.has(name) else None for name in OPTIONAL}

    @cached_property
    def recorded(self) -> dict[str, Array] | None:
        """(T,) log density and rank of the recorded actions, where the file has them."""
        return self.cache.recorded(self.method)

    def ahead(self, row: int) -> Ahead:
        """What is asked of the density at a row and, in order of the steps, soon of those after it."""
        if self._ahead is None or row not in self._ahead.rows:
            rows = row + np.flatnonzero(self.cache.done[row : row + AHEAD])
            self._ahead = Ahead(self.cache, self.method, rows.tolist())
        return self._ahead

    def steps(self) -> Iterator[Step]:
        """The steps that are done, in order."""
        before = None
        for row in np.flatnonzero(self.cache.done):
            step = Step(self, int(row), before)
            yield step
            step.before, before = None, step


@dataclass(eq=False)
class Step:
    """A row of a cache. What is asked of it is read and computed once. `before` is the scored step before."""

    episode: Episode
    row: int
    before: Step | None = None

    @property
    def number(self) -> int:
        """Index of the step in its episode."""
        return int(self.episode.numbers[self.row])

    @property
    def lag(self) -> int:
        """Steps of the episode since the scored step before; 0 at the first."""
        return 0 if self.before is None else self.number - self.before.number

    def rng(self, use: int) -> np.random.Generator:
        """Random numbers of this step for one use (`rng_of`)."""
        return rng_of(self.episode.cache, self.row, use)

    @cached_property
    def mixture(self) -> Mixture:
        """The density; CacheError where the file holds none."""
        return self.episode.ahead(self.row).mixtures[self.row]

    @cached_property
    def points(self) -> WeightedPoints:
        """The density as weighted points."""
        return self.episode.ahead(self.row).points[self.row]

    @cached_property
    def log_density(self) -> float:
        """log p of the recorded action [nats / px²], as the file has it, else from the mixture."""
        if self.episode.recorded is not None:
            return float(self.episode.recorded["log_density"][self.row])
        return self.log_densities[self.row]

    @cached_property
    def log_densities(self) -> dict[int, float]:
        """log p at this step [nats / px²] of the actions recorded within LATEST steps of it, by row (`Ahead`)."""
        return self.episode.ahead(self.row).log_densities[self.row]

    @cached_property
    def tie(self) -> tuple[float, float]:
        """Bounds of the recorded action's rank: the mass that is denser, without and with the action's own share.

        As the file has them, from draws of the mixture, else from its weighted points.
        """
        if self.episode.recorded is not None:
            return float(self.episode.recorded["rank_low"][self.row]), float(
                self.episode.recorded["rank_high"][self.row]
            )
        denser, own = self.points.denser(self.log_density), 1 / (len(self.points.weight) + 1)
        return denser * (1 - own), denser * (1 - own) + own

    @cached_property
    def modes(self) -> list[Mode] | None:
        """The modes, that of the largest mass first; None where the density is too uncertain, or too much is outside."""
        if not (self.check("error") <= LARGEST_ERROR and self.check("inside") >= LEAST_INSIDE):
            return None
        return find_modes(self.episode.cache.score(self.episode.method, self.row), self.episode.cache.grid)

    def check(self, name: str) -> float:
        """A check of the density at this step, such as `error`; nan where the file has none."""
        values = self.episode.checks.get(name)
        return np.nan if values is None else float(values[self.row])

    @cached_property
    def chunks(self) -> Array:
        """(D, H, 2) px: chunks at the finest noise level, from the current action on."""
        cache = self.episode.cache
        found: Array = cache.denoised_chunks(self.episode.method, self.row)[:, cache.current :].astype(np.float64)
        return found

    def chunk_distance(self) -> float:
        """Energy distance [px] between what this step and the one before plan for the same actions, root mean square per action.

        nan at the first step, where the step before was not scored, without denoised chunks, and where the plans do not overlap.
        """
        if self.before is None or self.lag > 1 or len(self.chunks) < 2 or self.chunks.shape[1] <= self.lag:
            return np.nan
        length = self.chunks.shape[1] - self.lag
        old, new = self.before.chunks[:, self.lag :], self.chunks[:, :length]
        return energy_distance(old.reshape(len(old), -1), new.reshape(len(new), -1)) / float(np.sqrt(length))
