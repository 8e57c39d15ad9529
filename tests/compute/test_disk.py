"""A disk that is full, read-only or gone while a batch runs, on a small file system of its own (Linux, as root)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.runs import ALL

from dlscore.cache.reader import open_cache
from dlscore.cache.verify import verify
from dlscore.compute.batch import Summary, collect, describe_remains, run_local
from dlscore.compute.run import Run
from dlscore.compute.settings import BLOCK_STEPS, episode_path


@pytest.fixture
def disk(tmp_path):
    """A file system of 400 kB, room for about two caches of these tests."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems are mounted by root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def score(policy, dataset, folder: Path, during) -> Summary:
    """A batch of all episodes; during(episode, steps done) is called at each report of progress."""
    from contextlib import nullcontext

    def watch(label):
        return nullcontext(lambda done, steps: during(int(label.removeprefix("episode ")), done))

    results = run_local(Run(policy, dataset, ALL), range(len(dataset)), folder, watch=watch)
    return collect(results, range(len(dataset)), lambda result: None)


def finished(folder: Path) -> list[str]:
    names = sorted(name for name in os.listdir(folder) if name.endswith(".h5"))
    assert all(verify(folder / name)["state"] == "finished" for name in names)
    return names


@pytest.mark.slow
def test_a_disk_that_runs_full(policy, dataset, disk):
    summary = score(policy, dataset, disk, lambda index, done: None)
    (failed,) = summary.failed
    assert 0 < failed < 4
    assert "No space left on device" in summary.results[-1].reason
    assert "stopped early" in summary.stopped
    assert finished(disk) == [f"episode_{k:03d}.h5" for k in range(failed)]
    assert not list(disk.glob("*.draft")) + list(disk.glob("*.lock"))
    subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
    assert score(policy, dataset, disk, lambda index, done: None).failed == []
    assert len(finished(disk)) == 5


@pytest.mark.slow
def test_a_disk_that_becomes_read_only(policy, dataset, disk):
    subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)

    def lock(index, done):
        if (index, done) == (1, BLOCK_STEPS):
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    summary = score(policy, dataset, disk, lock)
    assert summary.failed == [1]
    assert "Read-only file system" in summary.results[-1].reason
    assert f"resumable: {episode_path(disk, 1)}.part keeps 10 of 14 steps" in summary.results[-1].reason
    assert summary.not_tried == [2, 3, 4]
    assert finished(disk) == ["episode_000.h5"]
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    again = score(policy, dataset, disk, lambda index, done: None)
    assert [result.outcome.state for result in again.results[:3]] == ["current", "resumed", "computed"]


def test_a_folder_that_vanishes(policy, dataset, tmp_path):
    folder = tmp_path / "cache"

    def vanish(index, done):
        if (index, done) == (1, BLOCK_STEPS):
            shutil.move(folder, tmp_path / "elsewhere")

    summary = score(policy, dataset, folder, vanish)
    assert summary.failed == [1]
    assert "No such file or directory" in summary.results[-1].reason
    assert "stopped early" in summary.stopped
    assert finished(tmp_path / "elsewhere") == ["episode_000.h5"]
    assert describe_remains(episode_path(tmp_path / "elsewhere", 1)).startswith("resumable: ")
    with open_cache(tmp_path / "elsewhere" / "episode_001.h5.part", partial=True) as cache:
        assert cache.done.sum() == BLOCK_STEPS
