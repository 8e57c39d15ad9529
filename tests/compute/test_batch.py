"""Batches: what fails is named and does not stop the rest, what is hopeless does; nothing is lost on the way."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.runs import ALL, Stop, assert_same, flat, stop

from dlscore.cache import schema
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.cli import report
from dlscore.common.errors import UserError
from dlscore.compute import batch, resources
from dlscore.compute.batch import EpisodeResult, Summary, attempt, collect
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.compute.settings import BLOCK_STEPS, Options, episode_path
from dlscore.policy.load import load_policy


@pytest.fixture
def dataset_folder(five_episodes_folder) -> Path:
    return five_episodes_folder


@pytest.fixture
def policy_folder(quick_policy_folder) -> Path:
    return quick_policy_folder


@pytest.fixture
def options(quick_options) -> dict[str, object]:
    return {
        **quick_options,
        "episodes": "all",
    }


def fail_at(monkeypatch, *episodes: int, error: Exception | None = None) -> None:
    """The network gives NaN (or raises) in these episodes."""
    from dlscore.compute import episode

    original = episode._draw_chunks

    def drawn(run, episode, *rest):
        chunks = original(run, episode, *rest)
        if episode.index in episodes:
            if error is not None:
                raise error
            chunks[0] = float("nan")
        return chunks

    monkeypatch.setattr(episode, "_draw_chunks", drawn)


def test_one_failing_episode_does_not_stop_the_rest(dlscore, options, monkeypatch):
    fail_at(monkeypatch, 1)
    code, out, err = dlscore("compute", *flat(options), "--json")
    assert code == 3
    report = json.loads(out)
    assert [row["state"] for row in report["episodes"]] == ["computed", "failed", "computed", "computed", "computed"]
    assert "holds non-finite values" in report["summary"]["failed"]["1"]
    assert "resumable: " in report["summary"]["failed"]["1"]
    assert (report["summary"]["done"], report["summary"]["skipped"], report["summary"]["not_tried"]) == (4, 0, [])
    assert err.splitlines()[-1].startswith("dlscore: error: 1 of 5 episodes failed")
    monkeypatch.undo()
    code, out, _ = dlscore("compute", *flat(options))
    assert code == 0
    assert "5 episodes: 1 done, 4 skipped (current), 0 failed" in out.splitlines()[-1]
    assert "episode_001.h5: resumed" in out


def test_failures_of_one_kind_in_a_row_stop_early(dlscore, options, monkeypatch):
    fail_at(monkeypatch, 1, 2, 3, error=ValueError("broken weights 17"))
    code, out, err = dlscore("compute", *flat(options))
    assert code == 3
    assert out.splitlines()[-1].startswith("5 episodes: 1 done, 0 skipped (current), 3 failed (1-3), 1 not tried (4); ")
    assert "stopped early: the last 3 failed in the same way" in err.splitlines()[-1]
    assert "internal error (ValueError: broken weights 17); set DLSCORE_DEBUG=1" in err


def test_nothing_done_is_exit_1_and_one_episode_is_one_line(dlscore, options, monkeypatch):
    fail_at(monkeypatch, 0, 1)
    assert dlscore("compute", *flat(options | {"episodes": "0,1"}))[0] == 1
    code, out, err = dlscore("compute", *flat(options | {"episodes": "0"}))
    assert (code, out) == (1, "")
    assert "are not finite" in err.splitlines()[-1]


def test_a_full_disk_stops_the_batch_and_keeps_what_is_done(dlscore, options, monkeypatch):
    copyfile = shutil.copyfile

    def full(source, target, **_):
        if "episode_002" in str(target):
            raise OSError(errno.ENOSPC, "")
        return copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    code, out, err = dlscore("compute", *flat(options))
    assert code == 3
    assert "2 done, 0 skipped (current), 1 failed (2), 2 not tried (3-4)" in out.splitlines()[-1]
    assert "No space left on device" in err
    assert "stopped early: the cause affects every episode" in err
    finished = [name for name in sorted(os.listdir(options["output-dir"])) if name.endswith(".h5")]
    assert finished == ["episode_000.h5", "episode_001.h5"]


def test_a_dry_run_tells_what_each_episode_is(dlscore, options, policy, source, monkeypatch):
    assert dlscore("compute", *flat(options | {"episodes": "0"}))[0] == 0
    assert dlscore("compute", *flat(options | {"episodes": "1", "seed": 1}))[0] == 0
    fail_at(monkeypatch, 2)
    assert dlscore("compute", *flat(options | {"episodes": "2"}))[0] == 1
    options["scoring-method"] = "distance"
    code, out, _ = dlscore("compute", *flat(options), "--dry-run")
    assert code == 0
    lines = out.splitlines()
    assert [line.split(": ")[1].split(",")[0].split(" (")[0] for line in lines[:5]] == [
        "current", "stale", "partial", "missing", "missing",
    ]  # fmt: skip
    assert "seed: 1 -> 0" in lines[1]
    assert lines[5] == "5 episodes: 1 current, 1 stale, 1 partial, 2 missing"
    code, out, _ = dlscore("compute", *flat(options), "--dry-run", "--json")
    assert [row["steps_done"] for row in json.loads(out)["episodes"]] == [14, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"disk_usage": 1000}, "has 0.0 MB free, and 5 episodes need about"),
        ({"memory": 1e6}, "1.0 MB of memory are free, and this run needs about"),
    ],
)
def test_disk_and_memory_are_checked_before_the_policy_is_loaded(dlscore, options, monkeypatch, needs, words):
    if "memory" in needs:
        monkeypatch.setattr(resources, "available_memory", lambda: needs["memory"])
    else:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, needs["disk_usage"]))
    monkeypatch.setattr("dlscore.policy.load.load_policy", None)
    code, out, err = dlscore("compute", *flat(options))
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1
    assert not options["output-dir"].exists()


def test_the_expected_size_is_about_the_real_one(policy, source, tmp_path):
    path = tmp_path / "episode_000.h5"
    compute_episode(Run(policy, source, ALL), 0, path)
    expected = schema.cache_bytes(14, 8, 3, 2, 16)
    assert 0.5 * path.stat().st_size < expected < 2.5 * path.stat().st_size


def test_time_and_size_are_told_after_the_first_block(dlscore, options):
    code, _, err = dlscore("compute", *flat(options))
    assert code == 0
    assert [line for line in err.splitlines() if "70 steps of 5 episodes: about " in line and "by the first 10" in line]


def test_what_lies_at_an_episodes_place_is_its_own_affair(dlscore, options):
    assert dlscore("compute", *flat(options | {"episodes": "0-2", "seed": 1}))[0] == 0
    code, out, err = dlscore("compute", *flat(options))
    assert code == 3
    assert "2 done, 0 skipped (current), 3 failed (0-2); " in out.splitlines()[-1]
    assert "seed: 1 -> 0" in err
    assert "resumable" not in err


def test_an_engine_that_ends_early_still_has_a_summary():
    def results():
        yield EpisodeResult(0, Path("a"))
        raise UserError("no worker can start")

    summary = collect(results(), [0, 1], lambda _: None)
    with pytest.raises(batch.BatchError, match="0 of 2 episodes failed; stopped early: no worker can start") as error:
        summary.raise_failures()
    assert error.value.exit_code == 3


def test_a_forced_run_says_that_all_is_started_over(dlscore, options, policy, source, tmp_path):
    assert dlscore("compute", *flat(options | {"episodes": "0"}))[0] == 0
    _, out, _ = dlscore("compute", *flat(options), "--force", "--dry-run")
    assert "episode_000.h5: forced, 14 steps, " in out
    assert "(it is current)" in out
    path = tmp_path / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, ALL), 0, path, progress=stop)
    assert "the same command without --force resumes there" in batch.describe_remains(path, force=True)
    compute_episode(Run(policy, source, ALL), 0, path)
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, ALL), 0, path, Options(force=True), progress=stop)
    assert batch.describe_remains(path, force=True) == f"untouched: {path} is as it was"


def test_a_cache_that_was_taken_away_costs_no_report(policy, source, tmp_path):
    result = attempt(Run(policy, source, ALL), 0, tmp_path)
    assert "likelihood" in report.as_row(result)["checks"]
    result.path.unlink()
    row = report.as_row(result)
    assert row["state"] == "computed"
    assert "is not a file" in row["unread"]


def test_room_is_asked_for_what_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 25))
    resources.check_disk(tmp_path, [5.0, 10.0])  # and once more 10
    with pytest.raises(resources.ResourceError, match="3 episodes need about"):
        resources.check_disk(tmp_path, [5.0], [10.0, 11.0])


def test_an_interrupt_says_what_is_left(policy, source, tmp_path):
    def interrupt(done, steps):
        if done >= BLOCK_STEPS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"episode 0; resumable: .*h5.part keeps 10 of 14 steps"):
        attempt(Run(policy, source, ALL), 0, tmp_path, progress=interrupt)
    assert os.listdir(tmp_path) == ["episode_000.h5.part"]


def test_sigterm_is_an_interrupt_that_leaves_no_lock_and_no_draft(options):
    argv = flat(options | {"scoring-method": "likelihood", "action-resolution": 50})
    command = [sys.executable, "-c", "from dlscore.cli.commands import main; main()", "compute", *map(str, argv)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stderr:
            if "by the first 10 steps" in line:
                run.send_signal(signal.SIGTERM)
                break
        last = run.stderr.read().splitlines()[-1]
    assert run.returncode == 130
    assert last.startswith("dlscore: error: interrupted at episode ")
    assert "untouched: " in last or "resumable: " in last
    assert {name.partition(".")[2] for name in os.listdir(options["output-dir"])} <= {"h5", "h5.part"}


def test_a_device_out_of_memory_halves_the_batch_and_says_so(policy_folder, source, tmp_path, monkeypatch):
    policy = load_policy(str(policy_folder), device="cpu", batch_size=64)
    epsilon, notes = type(policy).epsilon, []

    def small(self, x, t, conditioning):
        if self.batch_size > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return epsilon(self, x, t, conditioning)

    monkeypatch.setattr(type(policy), "epsilon", small)
    path = tmp_path / "a" / "episode_000.h5"
    compute_episode(Run(policy, source, ALL), 0, path, notice=notes.append)
    assert [note.rpartition("--batch-size ")[2] for note in notes] == ["32", "16"]
    with open_cache(path) as cache:
        assert cache.attrs["batch_size"] == 16
        assert cache.attrs["network_evaluations"] == 14 * (16 * 6 + 16 * 3 + 3 * 64 + 2 * 5)
    monkeypatch.undo()
    whole = tmp_path / "b" / "episode_000.h5"
    compute_episode(Run(load_policy(str(policy_folder), device="cpu", batch_size=16), source, ALL), 0, whole)
    assert_same(path, whole)


def test_a_device_without_any_memory_is_an_error(policy_folder, source, tmp_path, monkeypatch):
    policy = load_policy(str(policy_folder), device="cpu", batch_size=4)
    monkeypatch.setattr(type(policy), "epsilon", lambda *_: 1 / 0)
    assert "internal error (ZeroDivisionError" in attempt(Run(policy, source, ALL), 0, tmp_path).reason

    def none(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(type(policy), "epsilon", none)
    reason = attempt(Run(policy, source, ALL), 0, tmp_path).reason
    assert "cpu has no memory for policy" in reason
    assert "even with --batch-size 1" in reason


def test_a_busy_episode_is_left_to_the_other_run(policy, source, tmp_path):
    from support.processes import HOLD

    path = episode_path(tmp_path, 0)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        result = attempt(Run(policy, source, ALL), 0, tmp_path)
        assert "is being written by another run" in result.reason
        other.kill()
    assert attempt(Run(policy, source, ALL), 0, tmp_path).outcome.state == "computed"


def test_a_waiting_run_starts_when_the_other_ends(policy, source, tmp_path):
    from support.processes import HOLD

    path = episode_path(tmp_path, 0)
    code = HOLD.replace("time.sleep(60)", "time.sleep(1)")
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        assert attempt(Run(policy, source, ALL), 0, tmp_path, Options(wait=30)).outcome.state == "computed"


def test_two_failures_of_one_kind_are_alike_whatever_the_episode():
    one = EpisodeResult(
        3, Path("a"), reason="/x/episode_003.h5 holds 17 values; resumable: /x/episode_003.h5.part keeps 10"
    )
    two = EpisodeResult(
        4, Path("b"), reason="/x/episode_004.h5 holds 2 values; resumable: /x/episode_004.h5.part keeps 20"
    )
    assert one.kind == two.kind != EpisodeResult(5, Path("c"), reason="cannot be read").kind


def test_an_interrupted_run_still_has_a_summary():
    def results():
        yield EpisodeResult(0, Path("a"), reason="x")
        raise batch.Interrupted("interrupted at episode 1")

    summary = collect(results(), [0, 1, 2], lambda _: None)
    assert isinstance(summary, Summary)
    assert (summary.failed, summary.not_tried) == ([0], [1, 2])
    with pytest.raises(batch.BatchError, match="interrupted at episode 1") as error:
        summary.raise_failures()
    assert error.value.exit_code == 130


def test_what_a_failed_run_leaves_is_named(policy, source, tmp_path):
    path = tmp_path / "episode_000.h5"
    assert batch.describe_remains(path) == "untouched: no episode_000.h5 was made"
    with pytest.raises(Stop):
        compute_episode(Run(policy, source, ALL), 0, path, progress=stop)
    assert batch.describe_remains(path).startswith(f"resumable: {part_path(path)} keeps 10 of 14 steps")
    compute_episode(Run(policy, source, ALL), 0, path)
    assert batch.describe_remains(path) == f"untouched: {path} is as it was"
