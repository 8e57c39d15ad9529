"""A worker of --jobs that is told to stop stops, whatever it is at: the main process waits for it."""

import contextlib
import os
import signal

import pytest

from dlrender import jobs
from dlrender.output import Output
from dlrender.style.style import Style

TOLD = 128 + signal.SIGTERM


class Ended(BaseException):
    """In the place of the end of the process."""


def stop():
    os.kill(os.getpid(), signal.SIGTERM)


def told_while_it_draws(progress):
    stop()


def told_again_while_it_clears_up(progress):
    try:
        stop()
    finally:
        stop()


def told_where_exceptions_get_lost(progress):
    try:
        stop()
    except KeyboardInterrupt:
        progress(1, 2)


def told_where_they_get_lost_after_the_last_frame(progress):
    with contextlib.suppress(KeyboardInterrupt):
        stop()


@pytest.fixture
def worker(monkeypatch):
    def end(code):
        raise Ended(code)

    monkeypatch.setattr(jobs, "_drawn", [0])
    monkeypatch.setattr(jobs.os, "_exit", end)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    "drawing",
    [
        told_while_it_draws,
        told_again_while_it_clears_up,
        told_where_exceptions_get_lost,
        told_where_they_get_lost_after_the_last_frame,
    ],
)
def test_a_worker_that_is_told_to_stop_ends(worker, monkeypatch, tmp_path, drawing):
    def render(file, style, output, norms, progress):
        drawing(progress)
        return []

    monkeypatch.setattr(jobs, "render_episode", render)
    with pytest.raises(Ended) as end:
        jobs._render(0, tmp_path, Style(), Output(), {})
    assert end.value.args == (TOLD,)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_a_worker_counts_its_frames_and_returns_its_files(worker, monkeypatch, tmp_path):
    def render(file, style, output, norms, progress):
        progress(7, 9)
        return [file]

    monkeypatch.setattr(jobs, "render_episode", render)
    assert jobs._render(0, tmp_path, Style(), Output(), {}) == [tmp_path]
    assert jobs._drawn == [7]
