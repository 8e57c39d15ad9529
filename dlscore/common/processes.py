"""Processes that work for another one."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from threading import Thread

__all__ = ["end_with_parent", "processes_of"]


def end_with_parent() -> None:
    """In a process of multiprocessing: end when the one that started it ends, also where that is killed."""
    Thread(target=_wait, daemon=True).start()


def processes_of(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    """The processes of a pool that is not shut down, to be stopped: it would wait for what they are at."""
    return list((pool._processes or {}).values())


def _wait() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
