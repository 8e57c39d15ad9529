"""Progress in a log file: a plain line now and then, and a rate that is of this run alone."""

import sys
import threading

import pytest

from dlscore.common import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets: clock.append(seconds)."""
    times = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: times[-1])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    return times


def test_a_line_every_ten_seconds_and_at_the_end(clock, capsys):
    with progress.steps("episode 3") as report:
        for done in range(0, 31, 3):
            report(done, 30)
            clock.append(clock[-1] + 4)
    assert capsys.readouterr().err.splitlines() == [
        "episode 3: 9/30 steps, 0.8/s, 28 s left",
        "episode 3: 18/30 steps, 0.8/s, 16 s left",
        "episode 3: 27/30 steps, 0.8/s, 4 s left",
        "episode 3: 30/30 steps, 0.8/s, 0 s left",
    ]


def test_the_rate_is_of_what_this_run_did(clock, capsys):
    with progress.steps("episode 3", unit="frames") as report:
        report(20, 30)  # where an earlier run stopped
        clock.append(20)
        report(30, 30)
    assert capsys.readouterr().err == "episode 3: 30/30 frames, 0.5/s, 0 s left\n"


def test_silence(capsys):
    with progress.silent("episode 3") as report:
        report(1, 2)
    progress.no_report(1, 2)
    progress.no_notice("x")
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal_needs_no_thread(clock, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    before = threading.active_count()
    with progress.steps("episode 3", unit="frames") as report:
        for done in (0, 3, 30):
            report(done, 30)
            clock.append(clock[-1] + 4)
            assert threading.active_count() == before  # else dlrender could not be forked
    assert "30/30" in capsys.readouterr().err
