import shutil
from pathlib import Path

import pytest
from support.synthetic import write_cache


@pytest.fixture(scope="session")
def two_methods(tmp_path_factory) -> Path:
    """A finished cache of two methods, written once."""
    return write_cache(tmp_path_factory.mktemp("cache") / "episode_000.h5")


@pytest.fixture
def cache(two_methods, tmp_path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copyfile(two_methods, tmp_path / "episode_000.h5"))


@pytest.fixture(scope="session")
def intact(tmp_path_factory) -> bytes:
    """What is in a small finished cache."""
    return write_cache(tmp_path_factory.mktemp("intact") / "episode_000.h5", steps=3, resolution=8).read_bytes()
