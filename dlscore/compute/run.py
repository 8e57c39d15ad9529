"""One policy, one data set, one set of settings, and everything that follows from them, derived once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dlscore.cache.schema import RECORDED
from dlscore.common.errors import UserError
from dlscore.compute.identity import load_episode, make_identity
from dlscore.compute.settings import Settings
from dlscore.episodes.dataset import Dataset
from dlscore.episodes.episode import Episode, is_image
from dlscore.episodes.replay import make_observation
from dlscore.grid import Grid
from dlscore.policy.base import Policy
from dlscore.pusht.env import make_env
from dlscore.scores.base import Scorer, score_attributes

__all__ = ["InputError", "Run"]


class InputError(UserError):
    """A policy and a data set that do not fit each other."""


@dataclass(frozen=True)
class Run:
    """A policy to score on a data set's episodes. InputError if the policy takes observations that it cannot have."""

    policy: Policy
    dataset: Dataset
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if self.settings.observations == "replayed":
            _check_replayed(self.policy)
        else:
            _check_recorded(self.policy, self.dataset)

    @cached_property
    def grid(self) -> Grid:
        """The action grid."""
        return Grid(self.settings.resolution)

    @cached_property
    def scorers(self) -> dict[str, Scorer]:
        """The scorers by name."""
        return {scorer.name: scorer for scorer in self.settings.scorers}

    @cached_property
    def score_attrs(self) -> dict[str, dict[str, Any]]:
        """What the cache keeps beside each method's scores: units, definition, parameters, checks, evaluations per step."""
        described = {name: score_attributes(scorer, self.policy, self.grid) for name, scorer in self.scorers.items()}
        for attrs in described.values():
            measured = [
                *(["inside"] if attrs["kind"] == "log_density" else []),
                *(["own_rank", *RECORDED] if attrs.get("components") else []),
            ]
            attrs["checks"] += measured  # by compute, for every density
        return described

    @cached_property
    def evaluations_per_step(self) -> int:
        """Network evaluations per step: those of all methods and of the chunks that are drawn."""
        scored = sum(int(attrs["evaluations_per_step"]) for attrs in self.score_attrs.values())
        return scored + self.policy.chunk_evaluations(self.settings.chunks)

    def count_steps(self, index: int) -> int:
        """How many steps of an episode are scored, without reading it."""
        return self.settings.count_steps(self.dataset.lengths[index])

    def load(self, index: int) -> Episode:
        """An episode with the observations that the policy takes, recorded or replayed."""
        return load_episode(self.dataset, self.settings, index, self.policy.inputs)

    def identity(self, episode: Episode) -> dict[str, Any]:
        """Everything but the methods that decides the numbers in a cache; its SHA-256 is the cache's key."""
        return make_identity(self.policy.fingerprint, episode, self.settings)


def _check_replayed(policy: Policy) -> None:
    env = make_env()
    for name, shape in policy.inputs.items():
        make_observation(env, name, shape)  # raises for what gym-pusht does not show
    if (cameras := sum(map(is_image, policy.inputs.values()))) > 1:
        raise InputError(
            f"--observations replayed has one camera, gym-pusht's own; policy {policy.name} takes {cameras}: use recorded"
        )


def _check_recorded(policy: Policy, dataset: Dataset) -> None:
    features: Mapping[str, tuple[int, ...]] = dataset.features
    for name, shape in policy.inputs.items():
        if name not in features:
            raise InputError(
                f"policy {policy.name} takes '{name}', which data set {dataset.name} lacks; it has "
                f"{', '.join(sorted(features))}: choose a data set that was recorded for such a policy, rename a feature "
                "with --rename-map, or render the inputs with --observations replayed"
            )
        if tuple(features[name]) != shape:
            raise InputError(
                f"policy {policy.name} takes '{name}' of shape {shape}; data set {dataset.name} has it with shape "
                f"{tuple(features[name])}"
            )
