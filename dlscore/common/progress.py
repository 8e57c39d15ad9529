"""Progress on stderr: a bar on a terminal, a plain line every few seconds in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

LOG_EVERY = 10.0  # s between plain lines
BAR_EVERY = 0.1  # s between pictures of the bar

Report = Callable[[int, int], None]  # (done, total)
Watch = Callable[[str], AbstractContextManager[Report]]  # label -> the progress of that piece of work
Notice = Callable[[str], None]  # what a user should know while the work goes on


def no_report(done: int, total: int) -> None:
    """A Report that shows nothing."""


def no_notice(text: str) -> None:
    """A Notice that shows nothing."""


def silent(label: str) -> AbstractContextManager[Report]:
    """A Watch that shows nothing."""
    return nullcontext(no_report)


@contextmanager
def steps(label: str, unit: str = "steps") -> Iterator[Report]:
    """Yield `report(done, total)`. Its first call sets where the work starts, so that a resumed run shows its own pace."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        # Drawn where work is done, not by a thread: a process of several threads is not forked.
        with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
            task = bar.add_task(label, total=None, pace="")
            yield _paced(
                lambda done, total, pace: bar.update(task, completed=done, total=total, pace=pace, refresh=True),
                BAR_EVERY,
            )
    else:
        yield _paced(
            lambda done, total, pace: print(f"{label}: {done}/{total} {unit}, {pace}", file=sys.stderr), LOG_EVERY
        )


def _paced(show: Callable[[int, int, str], None], every: float) -> Report:
    began, first, shown = time.monotonic(), -1, time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal first, shown
        now = time.monotonic()
        if first < 0:
            first = done
        if done > first and (now - shown >= every or done == total):
            rate = (done - first) / (now - began)
            shown = now
            show(done, total, f"{rate:.1f}/s, {(total - done) / rate:.0f} s left")

    return report
