"""Finished caches that are already what was asked for, recognised without loading the policy."""

from __future__ import annotations

from collections.abc import Sequence

from dlscore.cache.reader import open_cache
from dlscore.common.errors import UserError
from dlscore.compute.identity import load_episode, make_identity
from dlscore.compute.outcome import Outcome
from dlscore.compute.settings import Request, Settings, episode_path
from dlscore.compute.state import inspect_file
from dlscore.episodes.dataset import Dataset
from dlscore.policy.config import read_config
from dlscore.policy.folder import fingerprint, resolve_policy
from dlscore.scores.base import score_parameters

__all__ = ["find_current"]


def find_current(request: Request, dataset: Dataset, indices: Sequence[int], settings: Settings) -> list[Outcome]:
    """The outcomes of a run whose caches are all current, or [] if at least one is not.

    This needs no torch: a checkpoint's fingerprint is of its files, and an episode's of its data.
    """
    paths = {index: episode_path(request.output_dir, index) for index in indices}
    if not all(path.is_file() for path in paths.values()):
        return []
    folder, _ = resolve_policy(request.policy_path, request.policy_revision)
    policy, config = fingerprint(folder), read_config(folder, request.policy_path)
    inputs = {name: tuple(feature["shape"]) for name, feature in config["input_features"].items()}
    parameters = {scorer.name: {"parameters": score_parameters(scorer)} for scorer in settings.scorers}
    found = []
    for index, path in paths.items():
        try:
            episode = load_episode(dataset, settings, index, inputs)
        except UserError:  # the run itself says what is wrong with it
            return []
        if inspect_file(path, make_identity(policy, episode, settings), parameters).name != "current":
            return []
        with open_cache(path) as cache:
            found.append(Outcome.of_current(cache))
    return found
