"""Disk, memory and time of a run: checked before it starts, estimated after the first block."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import h5py

from dlscore.cache.checksums import number_arrays
from dlscore.cache.schema import part_path
from dlscore.common.errors import UserError
from dlscore.common.files import nearest_folder
from dlscore.common.text import format_bytes, format_seconds
from dlscore.compute.settings import BLOCK_STEPS

PYTHON_AND_TORCH = 600e6  # bytes of a process before it has loaded a policy


class ResourceError(UserError):
    """Too little disk space or memory for the run."""


def check_disk(folder: Path, sizes: Sequence[float], rewritten: Sequence[float] = ()) -> None:
    """Raise ResourceError unless caches of these sizes [bytes] fit, plus a copy of the largest, made while it grows.

    rewritten: sizes of caches that replace another file, which stays until they are complete.
    """
    needed = sum(sizes) + max(max(sizes, default=0.0), 2 * max(rewritten, default=0.0))
    free = shutil.disk_usage(nearest_folder(folder)).free
    if needed > free:
        episodes = len(sizes) + len(rewritten)
        raise ResourceError(
            f"--output-dir {folder} has {format_bytes(free)} free, and {episodes} episodes need about {format_bytes(needed)}; "
            "free some, or choose another"
        )


def check_memory(weights: float, resolution: int, methods: int, pictures: float = 0.0) -> None:
    """Raise ResourceError unless a policy with so many bytes of weights can be loaded and a block of steps scored.

    pictures: bytes of an episode's observations, which stay in memory.
    """
    # While a policy loads, its weights are in memory twice; a block's scores are, as float64 and as written.
    needed = PYTHON_AND_TORCH + 2 * weights + 12.0 * BLOCK_STEPS * methods * resolution**2 + pictures
    free = available_memory()
    if free is not None and needed > free:
        raise ResourceError(
            f"{format_bytes(free)} of memory are free, and this run needs about {format_bytes(needed)}; end other programs, or "
            "choose a lower --action-resolution"
        )


def available_memory() -> float | None:
    """Bytes that this process may still allocate, by the system and its control groups; None if unknown."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024.0 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    for group in _control_groups():
        with suppress(OSError, ValueError):  # "max" is no number
            limit, used = (float((group / f"memory.{name}").read_text()) for name in ("max", "current"))
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            files = float(stat.get("active_file", 0)) + float(
                stat.get("inactive_file", 0)
            )  # caches of files, which the system frees first
            found.append(limit - used + files)
    return min(found, default=None)


def _control_groups() -> list[Path]:
    # This process's group and its parents, each of which may have a limit (version 2).
    root, own = Path("/sys/fs/cgroup"), ""
    with suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        own = next((line[3:] for line in lines if line.startswith("0::")), "")
    group = root / own.strip("/")
    return [each for each in (group, *group.parents) if each.is_relative_to(root)]


class CostEstimate:
    """Estimates time and size of the whole run, once, after its first block."""

    def __init__(self, steps: int, episodes: int, notice: Callable[[str], None]) -> None:
        self._steps, self._episodes, self._notice = steps, episodes, notice
        self._began, self._first, self._told = 0.0, -1, False

    def report(self, path: Path, done: int) -> None:
        """Record that `done` steps of `path` are done."""
        if self._told:
            return
        if self._first < 0 or done < self._first:
            self._began, self._first = time.monotonic(), done
        elif done > self._first:
            self._told = True
            if done - self._first >= self._steps:  # nothing is left to estimate
                return
            pace = (time.monotonic() - self._began) / (done - self._first)
            with suppress(OSError):  # finished already
                per_step, fixed = _measure(part_path(path))
                size = self._steps * per_step + self._episodes * fixed
                self._notice(
                    f"{self._steps} steps of {self._episodes} episodes: about {format_seconds(pace * self._steps)} and "
                    f"{format_bytes(size)}, by the first {done - self._first} steps"
                )


def _measure(part: Path) -> tuple[float, float]:
    # (bytes per step of compressed arrays, bytes of everything else).
    with h5py.File(part, "r", locking=False) as file:
        packed = sum(array.id.get_storage_size() for array in number_arrays(file) if array.chunks)
        return packed / int(file["done"][:].sum()), part.stat().st_size - packed
