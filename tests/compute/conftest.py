"""Runs are of a policy whose sampler takes 5 steps, on five episodes of 14 steps."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def dataset_folder(five_episodes_folder) -> Path:
    return five_episodes_folder


@pytest.fixture
def policy_folder(quick_policy_folder) -> Path:
    return quick_policy_folder


@pytest.fixture
def options(quick_options) -> dict[str, object]:
    """Options of `dlscore compute` for a batch of all five episodes."""
    return {**quick_options, "episodes": "all"}


@pytest.fixture(scope="session")
def computed(quick_policy_folder, five_episodes_folder, tmp_path_factory) -> Path:
    """Episode 0 with the settings ALL, computed once."""
    from support.runs import ALL

    from dlscore.compute.episode import compute_episode
    from dlscore.compute.run import Run
    from dlscore.episodes.dataset import open_dataset
    from dlscore.policy.load import load_policy

    path = tmp_path_factory.mktemp("computed") / "episode_000.h5"
    policy = load_policy(str(quick_policy_folder), device="cpu")
    compute_episode(Run(policy, open_dataset(root=five_episodes_folder), ALL), 0, path)
    return path


@pytest.fixture
def finished(computed, tmp_path) -> Path:
    """A copy of `computed` that may be changed."""
    path = tmp_path / "whole" / "episode_000.h5"
    path.parent.mkdir()
    return Path(shutil.copyfile(computed, path))
