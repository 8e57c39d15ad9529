"""The engine for many machines: Ray actors that load the policy once and take one episode after another.

The machines share the file system. An actor that dies is replaced, and its episode resumes from its part file. Scores
equal those of the local engine to the last bit if an actor has as many threads.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlscore.cache.errors import CacheError
from dlscore.cache.lock import SILENT
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.common.errors import UserError
from dlscore.common.progress import Notice, Report, Watch, no_notice, silent
from dlscore.compute.batch import EpisodeResult
from dlscore.compute.ray_cluster import EngineError, authenticate, check_address
from dlscore.compute.settings import Options, Request, episode_path

TRIES = 3  # workers that may die on one episode
LOOK = 5.0  # s between two looks at what the workers have done


@dataclass(frozen=True)
class Workers:
    """How many actors there are, and the resources of each."""

    count: int = 2
    gpus: float = 0.0
    cpus: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise EngineError(f"--workers {self.count} is not allowed; choose at least 1")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise EngineError(f"--gpus-per-worker {self.gpus} is not allowed; choose 0 to 1, or a whole number")


class _Worker:
    # Runs in the actor's process: loads once, computes on request.
    def __init__(self, folder: str, request: Request, options: Options) -> None:
        os.chdir(folder)  # paths of the command are relative to where it was given
        from dlscore.compute.prepare import prepare_run

        self._run, self._folder, self._options = prepare_run(request), request.output_dir, options

    def compute(self, index: int) -> EpisodeResult:
        from dlscore.compute.batch import attempt

        result = attempt(self._run, index, self._folder, self._options)
        return replace(result, notes=self._run.policy.notes)


def run_ray(
    request: Request,
    steps: Mapping[int, int],
    options: Options,
    workers: Workers,
    *,
    watch: Watch = silent,
    notice: Notice = no_notice,
) -> Iterator[EpisodeResult]:
    """Results of the episodes, as they finish. RAY_ADDRESS names a cluster; without it Ray starts on this machine.

    steps: how many steps are scored of each episode, in the order in which they are handed out.
    """
    with connected(workers) as ray, watch(f"{len(steps)} episodes") as report:
        progress = _Progress(request.output_dir, steps, report)
        yield from _tell_notes(_hand_out(ray, request, list(steps), options, workers, progress, notice), notice)


@contextmanager
def connected(workers: Workers) -> Iterator[Any]:
    """Ray, for as long as the context lasts: the cluster at RAY_ADDRESS, or one that is started here; EngineError without."""
    if importlib.util.find_spec("ray") is None:
        raise EngineError("--engine ray needs Ray, which is not installed; pip install '.[ray]' in the source")
    address = os.environ.get("RAY_ADDRESS", "")
    check_address(address)
    authenticate(address)
    with _started(address, workers) as ray:
        yield ray


@contextmanager
def _started(address: str, workers: Workers) -> Iterator[Any]:
    # Ray, connected to a cluster or started here, for as long as the context lasts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would contact a server, and wait if there is none
    terminated = signal.getsignal(signal.SIGTERM)
    import ray

    try:
        # "local": by itself Ray would join a cluster that happens to run on this machine.
        ray.init(address=address or "local", include_dashboard=False, log_to_driver=False, logging_level="ERROR",
                 num_cpus=None if address else workers.count)  # fmt: skip
    except Exception as error:  # Ray raises types of its own
        text = " ".join(str(error).split())[:300]
        raise EngineError(f"Ray cannot start ({type(error).__name__}: {text})") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminated)  # Ray replaces it by a handler that exits silently
    try:
        have = ray.cluster_resources().get("GPU", 0.0)
        if workers.gpus > have:
            raise EngineError(f"--gpus-per-worker {workers.gpus:g} is more than Ray has here, {have:g}; choose less")
        yield ray
    finally:
        ray.shutdown()  # ends the actors; their episodes stay resumable


class _Progress:
    # Steps done by all workers, as their part files say.
    def __init__(self, folder: Path, steps: Mapping[int, int], report: Report) -> None:
        self._folder, self._steps, self._report = folder, steps, report
        self._finished: set[int] = set()
        report(0, sum(steps.values()))

    def look(self, at_work: Iterable[int]) -> None:
        done = sum(self._steps[index] for index in self._finished)
        for index in at_work:
            with suppress(CacheError), open_cache(part_path(episode_path(self._folder, index)), partial=True) as cache:
                done += int(cache.done.sum())
        self._report(done, sum(self._steps.values()))

    def finish(self, index: int) -> None:
        self._finished.add(index)
        self.look(())


def _tell_notes(results: Iterator[EpisodeResult], notice: Notice) -> Iterator[EpisodeResult]:
    # Each worker loads the policy; its user is told once.
    told: set[str] = set()
    for result in results:
        for note in result.notes:
            if note not in told:
                notice(note)
        told.update(result.notes)
        yield result


def _hand_out(
    ray: Any,
    request: Request,
    waiting: list[int],
    options: Options,
    workers: Workers,
    progress: _Progress,
    notice: Notice,
) -> Iterator[EpisodeResult]:
    actor = ray.remote(num_cpus=workers.cpus, num_gpus=workers.gpus, max_restarts=0)(_Worker)
    # A worker that died on another machine leaves a lock, which expires after a while.
    patient = replace(options, wait=max(options.wait, SILENT + 30))

    def start() -> Any:
        return actor.remote(os.getcwd(), request, patient)

    tries: dict[int, int] = {}
    at_work: dict[Any, tuple[int, Any]] = {}
    idle = [start() for _ in range(min(workers.count, len(waiting)))]
    while waiting or at_work:
        while idle and waiting:
            index, worker = waiting.pop(0), idle.pop()
            at_work[worker.compute.remote(index)] = (index, worker)
        while not (found := ray.wait(list(at_work), num_returns=1, timeout=LOOK)[0]):
            progress.look([index for index, _ in at_work.values()])
        index, worker = at_work.pop(found[0])
        result: EpisodeResult | None = fetch(ray, found[0])
        if result is not None:
            idle.append(worker)
        else:
            tries[index] = tries.get(index, 0) + 1
            idle.append(start())
            if tries[index] < TRIES:
                notice(f"the worker of episode {index} died; another one continues it")
                waiting.insert(0, index)
                continue
            reason = f"its worker died {TRIES} times (killed, or out of memory?)"
            result = EpisodeResult(index, episode_path(request.output_dir, index), reason=reason)
        progress.finish(index)
        yield result


def fetch(ray: Any, ready: Any) -> Any:
    """What a worker returned, or None if it died; EngineError if no worker can start."""
    try:
        return ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, UserError) else error
        raise EngineError(f"a worker cannot start ({' '.join(str(cause).split())[-400:]})") from error
    except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
        if "The actor died because of an error raised in its creation task" in str(error):
            last = str(error).strip().splitlines()[-1]
            raise EngineError(f"a worker cannot start ({last[:400]})") from error
        return None
