"""Batches: what fails is named and does not stop the rest, what affects every episode does; nothing is lost."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from support.runs import ALL, Stop, fail_at, flat, stop

from dlscore.cache.schema import part_path
from dlscore.cli import report
from dlscore.common.errors import UserError
from dlscore.compute import batch
from dlscore.compute.batch import EpisodeResult, Summary, attempt, collect
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.compute.settings import Options


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
    assert "holds non-finite values" in err.splitlines()[-1]


def test_a_full_disk_stops_the_batch_and_keeps_what_is_done(dlscore, options, monkeypatch):
    copyfile = shutil.copyfile

    def full(origin, target, **_):
        if "episode_002" in str(target):
            raise OSError(errno.ENOSPC, "")
        return copyfile(origin, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    code, out, err = dlscore("compute", *flat(options))
    assert code == 3
    assert "2 done, 0 skipped (current), 1 failed (2), 2 not tried (3-4)" in out.splitlines()[-1]
    assert "No space left on device" in err
    assert "stopped early: the cause affects every episode" in err
    finished = [name for name in sorted(os.listdir(options["output-dir"])) if name.endswith(".h5")]
    assert finished == ["episode_000.h5", "episode_001.h5"]


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


def test_a_forced_run_says_that_all_is_started_over(dlscore, options, policy, dataset, tmp_path):
    assert dlscore("compute", *flat(options | {"episodes": "0"}))[0] == 0
    _, out, _ = dlscore("compute", *flat(options), "--force", "--dry-run")
    assert "episode_000.h5: forced, 14 steps, " in out
    assert "(it is current)" in out
    path = tmp_path / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, ALL), 0, path, progress=stop)
    assert "the same command without --force resumes there" in batch.describe_remains(path, force=True)
    compute_episode(Run(policy, dataset, ALL), 0, path)
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, ALL), 0, path, Options(force=True), progress=stop)
    assert batch.describe_remains(path, force=True) == f"untouched: {path} is as it was"


def test_a_cache_that_was_taken_away_costs_no_report(policy, dataset, tmp_path):
    result = attempt(Run(policy, dataset, ALL), 0, tmp_path)
    assert "likelihood" in report.as_row(result)["checks"]
    result.path.unlink()
    row = report.as_row(result)
    assert row["state"] == "computed"
    assert "is not a file" in row["unread"]


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


def test_what_a_failed_run_leaves_is_named(policy, dataset, tmp_path):
    path = tmp_path / "episode_000.h5"
    assert batch.describe_remains(path) == "untouched: no episode_000.h5 was made"
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, ALL), 0, path, progress=stop)
    assert batch.describe_remains(path).startswith(f"resumable: {part_path(path)} keeps 10 of 14 steps")
    compute_episode(Run(policy, dataset, ALL), 0, path)
    assert batch.describe_remains(path) == f"untouched: {path} is as it was"
