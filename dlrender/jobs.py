"""Several episodes, in one process or in several. An interrupt leaves no unfinished file."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dlrender.errors import RenderError
from dlrender.existing import check_existing
from dlrender.output import Output, check_output, pick_methods, video_names
from dlrender.scene import Norms
from dlrender.style.style import Style
from dlrender.videos import Progress, global_norms, render_episode
from dlscore.cache import open_cache
from dlscore.common.files import part_of, remove
from dlscore.common.processes import end_with_parent, processes_of

Reporter = Callable[[str], AbstractContextManager[Progress]]

# In a worker: the frames drawn of each file, which the main process reads. Without a lock: a killed worker would keep it.
_drawn: Any = None


def render_files(files: Sequence[Path], style: Style, output: Output, report: Reporter) -> list[Path]:
    """Make the videos of all files; the paths written. The first failure stops the rest.

    Of several files, `output.jobs` are drawn at a time, each by one process. One file, or one after the other where it is
    None, is drawn by several.

    report: called with a label, returns a context manager that yields a function of (frames done, total frames).
    """
    check_output(files, style, output)
    check_existing(files, style, output)
    norms = global_norms(files, style, output)
    if output.jobs is None or output.jobs == 1 or len(files) == 1:
        written: list[Path] = []
        for file in files:
            with report(file.name) as progress:
                written += render_episode(file, style, output, norms=norms, progress=progress)
        return written
    with report(f"{len(files)} episodes") as progress:
        return _in_processes(output.jobs, files, style, replace(output, jobs=1), norms, progress)


def _in_processes(
    jobs: int, files: Sequence[Path], style: Style, output: Output, norms: Norms, progress: Progress
) -> list[Path]:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of libraries hold
    drawn = context.RawArray("q", len(files))
    frames = sum(_count_steps(file) for file in files)
    pool = ProcessPoolExecutor(min(jobs, len(files)), context, initializer=_begin, initargs=(drawn,))
    try:
        made = [pool.submit(_render, index, file, style, output, norms) for index, file in enumerate(files)]
        waiting: set[Future[list[Path]]] = set(made)
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            progress(sum(drawn), frames)
            for each in done:
                each.result()  # raises what it raised
        return [path for each in made for path in each.result()]
    except BaseException as error:
        # Each worker stops, removes its unfinished files and takes no other.
        processes = processes_of(pool)
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        if isinstance(error, BrokenProcessPool):
            remove_parts(files, output)
            raise RenderError(
                f"a process of --jobs {jobs} was killed, perhaps because memory ran out; choose fewer"
            ) from error
        raise


def _begin(drawn: Any) -> None:
    global _drawn
    _drawn = drawn
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main process decides
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))  # while the worker waits for a file


def _render(index: int, file: Path, style: Style, output: Output, norms: Norms) -> list[Path]:
    stopped = False

    def stop(number: int, frame: Any) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # another one would disturb the clearing up
        raise KeyboardInterrupt

    def count(done: int, steps: int) -> None:
        if stopped:  # the exception got lost, as where a destructor ran
            raise KeyboardInterrupt
        _drawn[index] = done

    idle = signal.getsignal(signal.SIGTERM)
    try:
        try:
            signal.signal(signal.SIGTERM, stop)
            return render_episode(file, style, output, norms=norms, progress=count)
        finally:
            signal.signal(signal.SIGTERM, idle)
            if stopped:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        # Unfinished files are removed by now; an exception would let the worker wait for the next file.
        os._exit(128 + signal.SIGTERM)


def remove_parts(files: Sequence[Path], output: Output) -> None:
    """Remove the unfinished files of a killed process."""
    for file in files:
        with open_cache(file) as cache:
            for name in video_names(cache, pick_methods(cache, output.methods), output).values():
                remove(part_of(name))


def _count_steps(file: Path) -> int:
    with open_cache(file) as cache:
        return cache.steps
