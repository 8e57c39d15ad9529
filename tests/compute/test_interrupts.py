"""Runs that are interrupted, and runs that meet another run at an episode."""

import os
import signal
import threading

import pytest
from support.processes import PATIENCE, holding, start
from support.runs import ALL, flat

from dlscore.compute.batch import attempt
from dlscore.compute.run import Run
from dlscore.compute.settings import BLOCK_STEPS, Options, episode_path


def test_an_interrupt_says_what_is_left(policy, dataset, tmp_path):
    def interrupt(done, steps):
        if done >= BLOCK_STEPS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"episode 0; resumable: .*h5.part keeps 10 of 14 steps"):
        attempt(Run(policy, dataset, ALL), 0, tmp_path, progress=interrupt)
    assert os.listdir(tmp_path) == ["episode_000.h5.part"]


@pytest.mark.slow
def test_sigterm_is_an_interrupt_that_leaves_no_lock_and_no_draft(options):
    argv = flat(options | {"scoring-method": "likelihood", "density": "model", "action-resolution": 50})
    with start("from dlscore.cli.commands import main; main()", "compute", *map(str, argv)) as run:
        for line in run.stderr:
            if "by the first 10 steps" in line:
                run.send_signal(signal.SIGTERM)
                break
        last = run.stderr.read().splitlines()[-1]
    assert run.returncode == 130
    assert last.startswith("dlscore: error: interrupted at episode ")
    assert "untouched: " in last or "resumable: " in last
    assert {name.partition(".")[2] for name in os.listdir(options["output-dir"])} <= {"h5", "h5.part"}


def test_a_busy_episode_is_left_to_the_other_run(policy, dataset, tmp_path):
    with holding(episode_path(tmp_path, 0)):
        result = attempt(Run(policy, dataset, ALL), 0, tmp_path)
        assert "is being written by another run" in result.reason
    assert attempt(Run(policy, dataset, ALL), 0, tmp_path).outcome.state == "computed"


def test_a_waiting_run_starts_when_the_other_ends(policy, dataset, tmp_path):
    with holding(episode_path(tmp_path, 0)) as other:
        threading.Timer(1, other.stdin.close).start()
        waiting = attempt(Run(policy, dataset, ALL), 0, tmp_path, Options(wait=PATIENCE))
        assert waiting.outcome.state == "computed"
