"""Several episodes, in one process or several. A KeyboardInterrupt leaves no unfinished file."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dlrender.errors import RenderError
from dlrender.output import Output, check
from dlrender.render import Norms, Progress, global_norms, render_episode
from dlrender.style import Style
from dlscore.cache import read_episode

Reporter = Callable[[str], AbstractContextManager[Progress]]

_drawn: Any = None  # in a worker: frames drawn by all workers, which the main process reads


def render_files(files: Sequence[Path], style: Style, output: Output, jobs: int, report: Reporter) -> list[Path]:
    """The videos of all files, up to `jobs` at a time; the paths that were written.

    report: given a name, a context that takes (frames done, frames in all). The first failure stops the rest.
    """
    if jobs < 1:
        raise RenderError(f"--jobs {jobs} is not allowed; choose 1 or more")
    check(files, output)
    norms = global_norms(files, style, output)
    if jobs == 1 or len(files) == 1:
        written: list[Path] = []
        for file in files:
            with report(file.name) as progress:
                written += render_episode(file, style, output, norms=norms, progress=progress)
        return written
    with report(f"{len(files)} episodes") as progress:
        return _in_processes(files, style, output, norms, min(jobs, len(files)), progress)


def _in_processes(
    files: Sequence[Path], style: Style, output: Output, norms: Norms, jobs: int, progress: Progress
) -> list[Path]:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of libraries hold
    drawn = context.Value("q", 0)
    frames = sum(_count_steps(file) for file in files)
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(drawn,))
    try:
        made = [pool.submit(_render, file, style, output, norms) for file in files]
        waiting: set[Future[list[Path]]] = set(made)
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            progress(drawn.value, frames)
            for each in done:
                each.result()  # raises what it raised
        return [path for each in made for path in each.result()]
    except BaseException:
        # A worker stops where it is, removes what it has not finished, and takes no other file.
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        raise


def _begin(drawn: Any) -> None:
    global _drawn
    _drawn = drawn
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them: the main process decides
    signal.signal(signal.SIGTERM, _exit)


def _render(file: Path, style: Style, output: Output, norms: Norms) -> list[Path]:
    def count(done: int, steps: int) -> None:
        with _drawn.get_lock():
            _drawn.value += 1

    return render_episode(file, style, output, norms=norms, progress=count)


def _exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _count_steps(file: Path) -> int:
    with read_episode(file) as episode:
        return episode.steps
