"""Several episodes, in one process or several. A KeyboardInterrupt leaves no unfinished file."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dlrender.errors import RenderError
from dlrender.output import Output, check_output, pick_methods, video_names
from dlrender.style.style import Style
from dlrender.videos import Norms, Progress, global_norms, render_episode
from dlscore.cache.reader import open_cache
from dlscore.common.files import part_of, remove

Reporter = Callable[[str], AbstractContextManager[Progress]]

_drawn: Any = None  # in a worker: frames drawn by all workers, which the main process reads


def render_files(files: Sequence[Path], style: Style, output: Output, report: Reporter) -> list[Path]:
    """The videos of all files, up to `output.jobs` at a time; the paths that were written.

    report: given a name, a context that takes (frames done, frames in all). The first failure stops the rest.
    """
    check_output(files, style, output)
    norms = global_norms(files, style, output)
    if output.jobs == 1 or len(files) == 1:
        written: list[Path] = []
        for file in files:
            with report(file.name) as progress:
                written += render_episode(file, style, output, norms=norms, progress=progress)
        return written
    with report(f"{len(files)} episodes") as progress:
        return _in_processes(files, style, output, norms, progress)


def _in_processes(files: Sequence[Path], style: Style, output: Output, norms: Norms, progress: Progress) -> list[Path]:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of libraries hold
    drawn = context.Value("q", 0)
    frames = sum(_count_steps(file) for file in files)
    pool = ProcessPoolExecutor(min(output.jobs, len(files)), context, initializer=_begin, initargs=(drawn,))
    try:
        made = [pool.submit(_render, file, style, output, norms) for file in files]
        waiting: set[Future[list[Path]]] = set(made)
        while waiting:
            done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            progress(drawn.value, frames)
            for each in done:
                each.result()  # raises what it raised
        return [path for each in made for path in each.result()]
    except BaseException as error:
        # A worker stops where it is, removes what it has not finished, and takes no other file.
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        if isinstance(error, BrokenProcessPool):
            remove_parts(files, output)
            raise RenderError(
                f"a process of --jobs {output.jobs} was killed, perhaps for want of memory; choose fewer"
            ) from error
        raise


def _begin(drawn: Any) -> None:
    global _drawn
    _drawn = drawn
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them: the main process decides
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))  # while it waits for a file


def _render(file: Path, style: Style, output: Output, norms: Norms) -> list[Path]:
    def count(done: int, steps: int) -> None:
        with _drawn.get_lock():
            _drawn.value += 1

    idle = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return render_episode(file, style, output, norms=norms, progress=count)
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGTERM)  # what was unfinished is removed; as an exception, it would take the next file
    finally:
        signal.signal(signal.SIGTERM, idle)


def remove_parts(files: Sequence[Path], output: Output) -> None:
    """Remove what a killed process has left unfinished."""
    for file in files:
        with open_cache(file) as episode:
            for name in video_names(episode, pick_methods(episode, output.methods), output).values():
                remove(part_of(name))


def _count_steps(file: Path) -> int:
    with open_cache(file) as episode:
        return episode.steps
