"""One run writes a cache at a time, and a run that died does not keep the others away."""

import json
import os
import time
from pathlib import Path

import pytest
from support.processes import HOLD, PATIENCE, holding, start

from dlscore.cache import lock as locking
from dlscore.cache.errors import BusyError, FolderError
from dlscore.cache.lock import SILENT, exclusive


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "episode_000.h5"


@pytest.fixture
def holder(path):
    with holding(path) as process:
        yield process


def wait_until(holds) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def test_a_second_run_is_refused_while_the_first_lives(path, holder):
    with (
        pytest.raises(BusyError, match=rf"is being written by another run \(process {holder.pid} on "),
        exclusive(path),
    ):
        pass
    assert sorted(os.listdir(path.parent)) == ["episode_000.h5.lock"]


def test_the_lock_of_a_killed_run_is_taken_over_at_once(path, holder):
    holder.kill()  # not waited for: a zombie is as dead
    wait_until(lambda: locking._started(holder.pid) == "ended")
    with exclusive(path) as lock:
        lock.check()
    assert os.listdir(path.parent) == []


def test_another_process_of_the_same_number_is_not_taken_for_it(path):
    mark = {"place": locking._place(), "pid": os.getpid(), "started": "long ago", "token": "x"}
    lock_of(path).write_text(json.dumps(mark))
    with exclusive(path):
        assert json.loads(lock_of(path).read_text())["started"] != "long ago"


@pytest.mark.parametrize("text", [json.dumps({"place": "elsewhere", "pid": 1, "started": "", "token": "x"}), "", "[]"])
def test_a_lock_of_another_machine_holds_while_it_is_touched(path, text):
    lock_of(path).write_text(text)
    with pytest.raises(BusyError, match="is being written by another run"), exclusive(path):
        pass
    assert lock_of(path).read_text() == text
    silent = time.time() - SILENT - 1
    os.utime(lock_of(path), (silent, silent))
    with exclusive(path):
        pass
    assert os.listdir(path.parent) == []


def test_a_lock_is_touched_while_it_is_held(path, monkeypatch):
    monkeypatch.setattr(locking, "TOUCHED", 0.02)
    with exclusive(path):
        os.utime(lock_of(path), (0, 0))
        wait_until(lambda: lock_of(path).stat().st_mtime > 0)


def test_whoever_lost_the_lock_is_told_before_it_replaces_a_file(path):
    with exclusive(path) as lock:
        mark = json.loads(lock_of(path).read_text())
        lock_of(path).write_text(json.dumps(mark | {"token": "another"}))
        with pytest.raises(BusyError, match="was taken over by another run"):
            lock.check()
    assert lock_of(path).exists()  # it is the other's now
    lock_of(path).unlink()
    with exclusive(path) as lock:
        lock_of(path).unlink()
        with pytest.raises(FolderError, match="has gone"):
            lock.check()


def test_of_many_that_find_a_dead_lock_one_takes_it_over(path):
    lock_of(path).write_text(json.dumps({"place": locking._place(), "pid": 2**22 + 1, "started": "", "token": "x"}))
    runs = [start(HOLD, str(path)) for _ in range(6)]
    wait_until(lambda: sum(run.poll() is not None for run in runs) == 5)  # the sixth holds it until it is told
    assert sum(run.communicate()[0] == "held\n" for run in runs) == 1
    assert os.listdir(path.parent) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(FolderError, match=r"cannot make .*; choose another --output-dir"),
        exclusive(tmp_path / "file" / "episode_000.h5"),
    ):
        pass


def test_a_process_that_the_system_hides_counts_as_alive_while_it_touches_its_lock(path, monkeypatch):
    monkeypatch.setattr(locking, "_started", lambda pid: "")
    mark = {"place": locking._place(), "pid": 1, "started": "17", "token": "x"}
    lock_of(path).write_text(json.dumps(mark))
    with pytest.raises(BusyError), exclusive(path):
        pass
    silent = time.time() - SILENT - 1
    os.utime(lock_of(path), (silent, silent))
    with exclusive(path):
        pass
