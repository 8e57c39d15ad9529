"""The pictures of an episode, step by step: drawn here, or by forked processes that draw ahead.

Drawing is Python, so threads would wait for each other. A fork starts at once, with the scene as it is. It needs a process of
one thread, since it would copy the locks that others hold. The pictures are the same to the bit, whoever draws them.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from mmap import mmap
from threading import Thread
from typing import Any

from dlrender.errors import RenderError
from dlrender.frames.frame import Picture, compose
from dlrender.scene import Scene
from dlscore.common.processes import end_with_parent

Pictures = dict[str, Picture]  # of a step, by the names of `Scene.widths`
Parcel = tuple[bytes, list[int]]  # pickled pictures, and where in shared memory their arrays begin and end

BLOCK = 12  # steps that a process draws at a time: the first whole, of the others what changes
MOST = 4  # processes: an encoder takes half as long as drawing, so more would wait for it
STOPS = {signal.SIGINT, signal.SIGTERM}

# In a forked process: what it draws, and the memory that it shares.
_scene: Any = None
_slots: Any = None


def draw_steps(scene: Scene, kinds: Mapping[str, str], jobs: int | None) -> Generator[Pictures]:
    """The pictures of each step in turn, of the kinds asked for by video: rgb24, or planes of yuv420p or yuv444p.

    jobs: processes at most; None for one a core. Close the generator to stop them. RenderError if one of them is killed.
    """
    steps = range(scene.cache.steps)
    blocks = [steps[first : first + BLOCK] for first in steps[::BLOCK]]
    processes = min(jobs or len(os.sched_getaffinity(0)), MOST, len(blocks)) if can_fork() else 1
    if processes == 1:
        yield from (_draw(scene, kinds, step) for step in steps)
    else:
        yield from _draw_ahead(scene, kinds, blocks, processes)


def can_fork() -> bool:
    """Whether this process may be forked: on Linux, while it has one thread. Other systems' libraries are not made for it."""
    return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1


def _draw_ahead(
    scene: Scene, kinds: Mapping[str, str], blocks: Sequence[Sequence[int]], processes: int
) -> Generator[Pictures]:
    size = BLOCK * 3 * scene.style.target_height * sum(scene.widths[name] for name in kinds)  # no more than RGB needs
    slots = [mmap(-1, size) for _ in range(processes + 1)]  # takes memory where it is written
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(scene, slots))
    waiting, free = deque(blocks), deque(range(len(slots)))
    drawn: deque[tuple[int, Future[Parcel]]] = deque()
    ending = Thread(target=pool.shutdown)
    try:
        _fork(pool)
        while waiting or drawn:
            while waiting and free:
                slot = free.popleft()
                drawn.append((slot, pool.submit(_draw_block, waiting.popleft(), kinds, slot)))
            slot, future = drawn.popleft()
            pictures = _unpack(slots[slot], future.result())
            free.append(slot)
            if not (waiting or drawn):
                ending.start()  # while the last pictures are encoded
            yield from pictures
        ending.join()
    except BaseException as error:
        for process in list((pool._processes or {}).values()):
            process.kill()  # it has nothing to clear up
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise RenderError(
                f"one of {processes} processes that draw was killed, perhaps because memory ran out; choose --jobs 1"
            ) from error
        raise


def _fork(pool: ProcessPoolExecutor) -> None:
    # What is submitted first starts all processes. A signal waits until they no longer take it for this one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        pool.submit(int)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(scene: Scene, slots: Sequence[mmap]) -> None:
    # The open file comes with the scene: HDF5 reads by position, so processes do not move each other's.
    global _scene, _slots
    _scene, _slots = scene, slots
    gc.freeze()  # what was there is not searched, which would copy its memory
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main process decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the pool ends the others where one was killed
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _draw_block(steps: Sequence[int], kinds: Mapping[str, str], slot: int) -> Parcel:
    arrays: list[pickle.PickleBuffer] = []
    data = pickle.dumps([_draw(_scene, kinds, step) for step in steps], protocol=5, buffer_callback=arrays.append)
    ends = [0]
    for array in arrays:
        raw = array.raw()
        ends.append(ends[-1] + len(raw))
        _slots[slot][ends[-2] : ends[-1]] = raw
    return data, ends


def _unpack(slot: mmap, parcel: Parcel) -> list[Pictures]:
    data, ends = parcel
    copy = memoryview(slot[: ends[-1]])
    pictures: list[Pictures] = pickle.loads(data, buffers=[copy[first:last] for first, last in pairwise(ends)])
    return pictures


def _draw(scene: Scene, kinds: Mapping[str, str], step: int) -> Pictures:
    if step % BLOCK == 0:
        scene.forget()
    frames = scene.render(step)
    return {name: compose(frames[name], kind) for name, kind in kinds.items()}
