from pathlib import Path

import pytest

SEEDS = (16, 0)  # 16: the block touches the agent at the start, and moves


@pytest.fixture(scope="session")
def rollouts_folder(quick_policy_folder, tmp_path_factory) -> Path:
    """Rollouts of the seeds SEEDS, 20 steps each."""
    from dlscore.rollout.run import run_rollouts
    from dlscore.rollout.settings import RolloutRequest, RolloutSettings

    folder = tmp_path_factory.mktemp("rollouts") / "two"
    settings = RolloutSettings(SEEDS, max_steps=20)
    run_rollouts(RolloutRequest(str(quick_policy_folder), settings, folder, device="cpu"))
    return folder


@pytest.fixture
def request_of(quick_policy_folder, tmp_path):
    """request_of(seeds, **changes) -> the request of those rollouts into a folder of the test's own."""
    from dlscore.rollout.settings import RolloutRequest, RolloutSettings

    def make(seeds, *, environments=1, max_steps=20, **changes):
        settings = RolloutSettings(seeds, environments, max_steps)
        options = {"policy_path": str(quick_policy_folder), "folder": tmp_path / "rollouts", "device": "cpu"}
        return RolloutRequest(settings=settings, **(options | changes))

    return make


@pytest.fixture
def policy_folder(quick_policy_folder) -> Path:
    return quick_policy_folder
