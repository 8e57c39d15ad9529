import shutil
from pathlib import Path

import pytest


@pytest.fixture
def checkpoint(policy_folder, tmp_path) -> Path:
    """A copy of the tiny policy that may be changed."""
    return shutil.copytree(policy_folder, tmp_path / "policy")


@pytest.fixture(scope="session")
def legacy(tmp_path_factory) -> Path:
    """A policy of pictures as LeRobot 0.3 kept it."""
    from support import stub

    return stub.save_legacy_policy(tmp_path_factory.mktemp("legacy") / "policy", **stub.image_config())


@pytest.fixture
def legacy_copy(legacy, tmp_path) -> Path:
    """A copy of it that may be changed."""
    return shutil.copytree(legacy, tmp_path / "policy")
