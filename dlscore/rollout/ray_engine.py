"""The engine for many machines: Ray actors that load the policy once and act one batch of seeds after another.

The machines share the file system. Each batch is kept as it is finished, so an actor that dies costs its batch, which another
one acts again. Rollouts equal those of the local engine to the last bit if an actor has as many threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dlscore.common.errors import UserError
from dlscore.common.progress import Notice, Report
from dlscore.compute.ray_cluster import EngineError
from dlscore.compute.ray_engine import TRIES, Workers, connected, fetch
from dlscore.rollout.keep import Kept, part_folder
from dlscore.rollout.settings import RolloutRequest

__all__ = ["act_with_ray"]


class _Actor:
    # Runs in the actor's process: loads once, acts on request.
    def __init__(self, folder: str, request: RolloutRequest, identity: dict[str, Any]) -> None:
        os.chdir(folder)  # paths of the command are relative to where it was given
        from dlscore.policy.load import load_policy
        from dlscore.rollout.act import check_policy

        self._policy = load_policy(request.policy_path, device=request.device, revision=request.policy_revision)
        check_policy(self._policy)
        self._settings, self._kept = request.settings, Kept(part_folder(request.folder), identity)

    def act(self, batch: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
        """(why the batch failed or "", the policy's notes)."""
        from dlscore.rollout.act import roll_out

        try:
            self._kept.save(batch, roll_out(self._policy, batch, self._settings))
        except UserError as error:
            return str(error), ()
        return "", self._policy.notes


def act_with_ray(
    request: RolloutRequest,
    identity: dict[str, Any],
    todo: list[tuple[int, ...]],
    workers: Workers,
    report: Report,
    notice: Notice,
) -> None:
    """Act the batches `todo` and keep them. RAY_ADDRESS names a cluster; without it Ray starts on this machine.

    Raises EngineError where Ray or its workers cannot start, and where a batch fails or kills its workers.
    """
    with connected(workers) as ray:
        kind = ray.remote(num_cpus=workers.cpus, num_gpus=workers.gpus, max_restarts=0)(_Actor)
        request = replace(request, force=False)  # what was to be removed is removed

        def start() -> Any:
            return kind.remote(os.getcwd(), request, identity)

        told: set[str] = set()
        report(0, len(todo))
        for done, notes in enumerate(_hand_out(ray, start, todo, workers.count, notice), 1):
            for note in set(notes) - told:
                notice(note)
            told.update(notes)
            report(done, len(todo))


def _hand_out(
    ray: Any, start: Callable[[], Any], todo: list[tuple[int, ...]], count: int, notice: Notice
) -> Iterator[tuple[str, ...]]:
    # The notes of each batch that is done. A batch whose actor died goes to another one.
    waiting, tries = list(todo), dict.fromkeys(todo, 0)
    idle, at_work = [start() for _ in range(min(count, len(todo)))], dict[Any, tuple[tuple[int, ...], Any]]()
    while waiting or at_work:
        while idle and waiting:
            batch, actor = waiting.pop(0), idle.pop()
            at_work[actor.act.remote(batch)] = (batch, actor)
        (ready, *_), _ = ray.wait(list(at_work), num_returns=1)
        batch, actor = at_work.pop(ready)
        found = fetch(ray, ready)
        if found is None:
            tries[batch] += 1
            if tries[batch] == TRIES:
                raise EngineError(f"the workers of seed {batch[0]} died {TRIES} times (killed, or out of memory?)")
            notice(f"the worker of seed {batch[0]} died; another one acts it again")
            waiting.insert(0, batch)
            idle.append(start())
            continue
        reason, notes = found
        if reason:
            raise EngineError(f"seed {batch[0]} failed ({reason})")
        idle.append(actor)
        yield notes
