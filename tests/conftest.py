import functools
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support import surroundings  # noqa: F401  before numpy, torch and the rest are imported
from support.synthetic import write_cache

from dlscore.cache.reader import open_cache

# How long an example takes says nothing on a machine that is busy.
settings.register_profile("dlscore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dlscore")


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory) -> Path:
    from support import stub

    return stub.save_policy(tmp_path_factory.mktemp("policy") / "tiny")


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory) -> Path:
    from support import stub

    return stub.save_dataset(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def quick_policy_folder(tmp_path_factory) -> Path:
    """A policy whose own sampler takes 5 steps."""
    from support import stub

    return stub.save_policy(tmp_path_factory.mktemp("policy") / "quick", num_inference_steps=5)


@pytest.fixture(scope="session")
def five_episodes_folder(tmp_path_factory) -> Path:
    from support import stub

    return stub.save_dataset(tmp_path_factory.mktemp("data") / "five", episodes=5, steps=14)


@pytest.fixture(scope="session")
def three_methods(tmp_path_factory) -> Path:
    """A finished cache of three methods, written once."""
    folder = tmp_path_factory.mktemp("drawn")
    return write_cache(folder / "episode_000.h5", methods=("likelihood", "distance", "noise_pred"))


@pytest.fixture
def drawn_cache(three_methods, tmp_path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copyfile(three_methods, tmp_path / "episode_000.h5"))


@pytest.fixture
def drawn_episode(drawn_cache):
    with open_cache(drawn_cache) as opened:
        yield opened


@pytest.fixture
def dlrender(command):
    """dlrender(*argv) -> (exit code, stdout, stderr)."""
    from dlrender import cli

    return functools.partial(command, cli)


@pytest.fixture
def dlscore(command):
    """dlscore(*argv) -> (exit code, stdout, stderr)."""
    from dlscore.cli import commands

    return functools.partial(command, commands)


@pytest.fixture
def quick_options(policy_folder, dataset_folder, tmp_path) -> dict[str, object]:
    """Options of `dlscore compute` that make a small cache at once."""
    return {
        "policy-path": policy_folder,
        "dataset-root": dataset_folder,
        "output-dir": tmp_path / "cache",
        "action-resolution": 8,
        "scoring-method": "distance",
        "chunks": 1,
        "device": "cpu",
    }


@pytest.fixture
def command(capsys, monkeypatch):
    """command(cli, *argv) -> (exit code, stdout, stderr) of `cli.main()` in this process."""

    def call(cli, *argv: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [cli.app.info.name, *map(str, argv)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        captured = capsys.readouterr()
        return exit.value.code, captured.out, captured.err

    return call


@pytest.fixture
def policy(policy_folder):
    from dlscore.policy.load import load_policy

    return load_policy(str(policy_folder), device="cpu")


@pytest.fixture
def dataset(dataset_folder):
    from dlscore.episodes.dataset import open_dataset

    return open_dataset(root=dataset_folder)
