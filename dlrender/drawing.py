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
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from mmap import mmap
from threading import Thread
from typing import Any

from dlrender.errors import RenderError
from dlrender.frames.frame import Picture, compose
from dlrender.scene import Scene
from dlscore.common.processes import end_with_parent, processes_of

Pictures = dict[str, Picture]  # of a step, by the names of `Scene.widths`
Parcel = tuple[bytes, list[int]]  # pickled pictures, and where in shared memory their arrays begin and end

LONGEST = 12  # steps that a process draws at a time: the first whole, of the others what changes
BLOCK_BYTES = 1 << 26  # of their pictures, at most
PER_PIXEL = {"rgb24": 3.0, "yuv444p": 3.0, "yuv420p": 1.5}  # bytes
MOST = 4  # processes: an encoder takes half as long as drawing, so more would wait for it
STOPS = {signal.SIGINT, signal.SIGTERM}

# In a forked process: what it draws, and the memory that it shares.
_scene: Any = None
_slots: Any = None


def draw_steps(scene: Scene, kinds: Mapping[str, str], jobs: int | None) -> Generator[Pictures]:
    """The pictures of each step in turn, of the kinds asked for by video: rgb24, or planes of yuv420p or yuv444p.

    jobs: processes at most; None for one a core, and never more than MOST. Close the generator to stop them. RenderError
    if one of them is killed.
    """
    steps, length = range(scene.cache.steps), block_length(scene, kinds)
    blocks = [steps[first : first + length] for first in steps[::length]]
    processes = min(jobs or len(os.sched_getaffinity(0)), MOST, len(blocks)) if can_fork() else 1
    pool, slots = _start(scene, kinds, processes) if processes > 1 else (None, [])
    if pool is None:
        for block in blocks:
            yield from _draw_block(scene, kinds, block)
    else:
        yield from _draw_ahead(pool, slots, kinds, blocks)


def block_length(scene: Scene, kinds: Mapping[str, str]) -> int:
    """Steps that are drawn at a time, the same however many processes draw."""
    return max(1, min(LONGEST, BLOCK_BYTES // _picture_bytes(scene, kinds)))


def can_fork() -> bool:
    """Whether this process may be forked: on Linux, while it has one thread, and unless it is itself one of several.

    Other systems' libraries are not made for it.
    """
    alone = multiprocessing.parent_process() is None
    return sys.platform == "linux" and alone and len(os.listdir("/proc/self/task")) == 1


def _start(scene: Scene, kinds: Mapping[str, str], processes: int) -> tuple[ProcessPoolExecutor | None, Sequence[mmap]]:
    # The processes, and memory for their pictures, which is taken where it is written; None where the system refuses.
    pool: ProcessPoolExecutor | None = None
    try:
        size = block_length(scene, kinds) * _picture_bytes(scene, kinds)
        slots = [mmap(-1, size) for _ in range(processes + 1)]
        context = multiprocessing.get_context("fork")
        pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(scene, slots))
        # What is submitted first starts all processes. A signal waits until they no longer take it for this one.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            pool.submit(int)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except OSError:
        if pool is not None:
            _kill(pool)
        return None, []
    return pool, slots


def _kill(pool: ProcessPoolExecutor) -> None:
    processes = processes_of(pool)
    for process in processes:
        process.kill()  # it has nothing to clear up
    for process in processes:
        process.join()


def _draw_ahead(
    pool: ProcessPoolExecutor, slots: Sequence[mmap], kinds: Mapping[str, str], blocks: Sequence[Sequence[int]]
) -> Generator[Pictures]:
    waiting, free = deque(blocks), deque(range(len(slots)))
    drawn: deque[tuple[int, Future[Parcel]]] = deque()
    ending = Thread(target=pool.shutdown)
    try:
        while waiting or drawn:
            while waiting and free:
                slot = free.popleft()
                drawn.append((slot, pool.submit(_draw_into, slot, kinds, waiting.popleft())))
            slot, future = drawn.popleft()
            pictures = _unpack(slots[slot], future.result())
            free.append(slot)
            if not (waiting or drawn):
                ending.start()  # while the last pictures are encoded
            yield from pictures
        ending.join()
    except BaseException as error:
        if ending.ident is None:
            _kill(pool)
            pool.shutdown(cancel_futures=True)
        else:
            ending.join()
        if isinstance(error, BrokenProcessPool):
            raise RenderError(
                "one of the processes that draw was killed, perhaps because memory ran out; choose --jobs 1"
            ) from error
        raise


def _begin(scene: Scene, slots: Sequence[mmap]) -> None:
    # The open file comes with the scene: HDF5 reads by position, so processes do not move each other's.
    global _scene, _slots
    _scene, _slots = scene, slots
    gc.freeze()  # what was there is not searched, which would copy its memory
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main process decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which the pool ends the others where one was killed
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _draw_into(slot: int, kinds: Mapping[str, str], steps: Sequence[int]) -> Parcel:
    arrays: list[pickle.PickleBuffer] = []
    try:
        pictures = list(_draw_block(_scene, kinds, steps))
    except Exception as error:
        raise _sendable(error) from None
    data = pickle.dumps(pictures, protocol=5, buffer_callback=arrays.append)
    ends = [0]
    for array in arrays:
        raw = array.raw()
        ends.append(ends[-1] + len(raw))
        _slots[slot][ends[-2] : ends[-1]] = raw
    return data, ends


def _sendable(error: Exception) -> Exception:
    # An exception that cannot be sent would look like the end of the process.
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RenderError(f"{type(error).__name__}: {error}")


def _unpack(slot: mmap, parcel: Parcel) -> list[Pictures]:
    data, ends = parcel
    copy = memoryview(slot[: ends[-1]])
    pictures: list[Pictures] = pickle.loads(data, buffers=[copy[first:last] for first, last in pairwise(ends)])
    return pictures


def _draw_block(scene: Scene, kinds: Mapping[str, str], steps: Sequence[int]) -> Iterator[Pictures]:
    scene.forget()
    for step in steps:
        frames = scene.render(step)
        yield {name: compose(frames[name], kind) for name, kind in kinds.items()}


def _picture_bytes(scene: Scene, kinds: Mapping[str, str]) -> int:
    # Of a step's pictures, whole.
    return round(sum(scene.widths[name] * scene.style.target_height * PER_PIXEL[kind] for name, kind in kinds.items()))
