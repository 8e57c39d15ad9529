"""Some rows of an episode whose densities are found at once: one by one, numpy takes about as long to begin as to compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlrender.answers.points import WeightedPoints, weighted_points_of
from dlscore.cache import EpisodeCache
from dlscore.density import together
from dlscore.density.censoring import on_edges, spread_edges
from dlscore.density.mixture import Mixture

LATEST = 3  # steps by which an action may be early or late in the surprise without timing


def rng_of(cache: EpisodeCache, row: int, use: int) -> np.random.Generator:
    """Random numbers of a row for one use, from the run's seed, the episode and the step.

    Each use has its own, so that no number depends on what else was asked: 1 ranks, 2 points, 3 edges, 4 distances.
    """
    return np.random.default_rng([cache.seed, cache.episode, row * cache.every, use])


@dataclass(frozen=True, eq=False)
class Ahead:
    """Rows of a cache under one method, all of them done. Each answer is by row."""

    cache: EpisodeCache
    method: str
    rows: Sequence[int]

    @cached_property
    def mixtures(self) -> dict[int, Mixture]:
        """The densities; CacheError where the file holds none."""
        return dict(zip(self.rows, self.cache.mixtures(self.method, self.rows), strict=True))

    @cached_property
    def points(self) -> dict[int, WeightedPoints]:
        """The densities as weighted points."""
        found = weighted_points_of(list(self.mixtures.values()), [rng_of(self.cache, row, 2) for row in self.rows])
        return dict(zip(self.rows, found, strict=True))

    @cached_property
    def log_densities(self) -> dict[int, dict[int, float]]:
        """log p at a row [nats / px²] of the actions that were recorded within LATEST steps of it, by their rows.

        On an edge of the box they are spread as the density is.
        """
        within = LATEST // self.cache.every
        near = np.array(self.rows)[:, None] + np.arange(-within, within + 1)
        near = near.clip(0, self.cache.steps - 1)  # at the ends some are there more than once
        actions, mixtures = self.cache.expert_action[near].astype(np.float64), list(self.mixtures.values())
        if (box := mixtures[0].box) is not None:
            for k in np.flatnonzero(np.any(on_edges(actions, box), axis=(0, 2, 3))):
                once, places = np.unique(near[k], return_inverse=True)
                recorded = self.cache.expert_action[once].astype(np.float64)
                actions[k] = spread_edges(recorded, box, rng_of(self.cache, self.rows[k], 3))[places]
        found = together.log_densities(mixtures, actions)
        return {row: dict(zip(*each, strict=True))
                for row, *each in zip(self.rows, near.tolist(), found.tolist(), strict=True)}  # fmt: skip
