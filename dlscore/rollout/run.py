"""`dlscore rollout`: act every seed that is not done yet, keep each, and make the data set when all are there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.cache import provenance
from dlscore.cache.lock import exclusive
from dlscore.common.files import atomic_path, check_writable
from dlscore.common.progress import Notice, Watch, no_notice, silent
from dlscore.common.proportions import wilson_interval
from dlscore.common.text import reason_of
from dlscore.compute.ray_engine import Workers
from dlscore.episodes.outcome import ROLLOUT_NOTE
from dlscore.policy.folder import fingerprint, resolve_policy
from dlscore.rollout.keep import Kept, part_folder
from dlscore.rollout.ray_engine import act_with_ray
from dlscore.rollout.settings import RolloutError, RolloutRequest

if TYPE_CHECKING:
    from dlscore.rollout.act import Rollout

__all__ = ["Acted", "Rollouts", "run_rollouts"]


@dataclass(frozen=True)
class Acted:
    """What became of one seed: steps until success or the time limit, and the rewards."""

    seed: int
    steps: int
    best_reward: float
    sum_reward: float
    success: bool


@dataclass(frozen=True)
class Rollouts:
    """A finished data set of rollouts. state: made, resumed or current."""

    folder: Path
    state: str
    acted: tuple[Acted, ...]

    @property
    def successes(self) -> int:
        """How many reached the goal."""
        return sum(each.success for each in self.acted)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the rollouts, and the success rate with its Wilson interval."""
        return {"folder": str(self.folder), "state": self.state, **_tally(self.acted)}


def run_rollouts(
    request: RolloutRequest, workers: Workers | None = None, *, watch: Watch = silent, notice: Notice = no_notice
) -> Rollouts:
    """Roll out every seed of the request into a data set at its folder, going on where an earlier run stopped.

    workers: of Ray; without them, this process acts. Raises RolloutError for a folder of anything else (`force` replaces only
    what a rollout made), BusyError where another run is at work on it, EngineError where Ray or its workers fail.
    """
    check_writable(request.folder, RolloutError, "-o")
    identity = _identity(request)
    with exclusive(request.folder, request.wait, "-o"):
        if not request.force and (found := _find_finished(request, identity)) is not None:
            return found
        if request.folder.exists() and not (request.folder / ROLLOUT_NOTE).is_file():
            raise RolloutError(f"{request.folder} exists and is no data set of rollouts; choose another -o")
        kept = Kept(part_folder(request.folder), identity, request.force)
        batches = request.settings.batches
        todo = [batch for batch in batches if not kept.has(batch)]
        if workers is None:
            _act_all(request, kept, todo, watch, notice)
        elif todo:
            with watch(f"{len(todo)} batches") as report:
                act_with_ray(request, identity, todo, workers, report, notice)
        runs = (kept.load(batch, seed) for batch in batches for seed in batch)
        acted = _save(request, identity, runs)
        kept.remove()
    return Rollouts(request.folder, "made" if todo == batches else "resumed", acted)


def _identity(request: RolloutRequest) -> dict[str, Any]:
    # What decides the numbers, less the seeds. The noise of a CPU and that of a GPU differ.
    from dlscore.policy.load import pick_device

    folder, _ = resolve_policy(request.policy_path, request.policy_revision)
    settings = request.settings
    return {
        "policy": fingerprint(folder),
        "environments": settings.environments,
        "max_steps": settings.max_steps,
        "device": pick_device(request.device).partition(":")[0],
    }


def _find_finished(request: RolloutRequest, identity: dict[str, Any]) -> Rollouts | None:
    note = request.folder / ROLLOUT_NOTE
    if not note.is_file():
        return None
    try:
        stored = json.loads(note.read_text())
        acted = tuple(Acted(**each) for each in stored["rollouts"])
        before = {**stored["identity"], "seeds": [each.seed for each in acted]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RolloutError(f"{note} cannot be read ({reason_of(error)}); --force starts over") from error
    if difference := provenance.difference(before, {**identity, "seeds": list(request.settings.seeds)}):
        raise RolloutError(
            f"{request.folder} has rollouts of other settings ({difference}); --force starts over, another -o keeps both"
        )
    return Rollouts(request.folder, "current", acted)


def _act_all(request: RolloutRequest, kept: Kept, todo: list[tuple[int, ...]], watch: Watch, notice: Notice) -> None:
    if not todo:
        return
    from dlscore.policy.load import load_policy
    from dlscore.rollout.act import check_policy, roll_out

    policy = load_policy(request.policy_path, device=request.device, revision=request.policy_revision)
    for note in policy.notes:
        notice(note)
    check_policy(policy)
    for batch in todo:
        label = f"seed {batch[0]}" if len(batch) == 1 else f"{len(batch)} seeds from {batch[0]}"
        with watch(label) as report:
            kept.save(batch, roll_out(policy, batch, request.settings, report))


def _save(request: RolloutRequest, identity: dict[str, Any], runs: Iterator[Rollout]) -> tuple[Acted, ...]:
    from dlscore.rollout.dataset import save_dataset

    acted: list[Acted] = []
    name = {
        "policy": request.policy_path,
        "policy_revision": resolve_policy(request.policy_path, request.policy_revision)[1],
    }
    note: dict[str, Any] = {**name, "identity": identity, "versions": provenance.versions()}

    def told() -> Iterator[Rollout]:
        for run in runs:
            rewards = run.reward.astype(float)
            best, total = round(float(rewards.max()), 6), round(float(rewards.sum()), 6)
            acted.append(Acted(run.seed, len(run), best, total, run.succeeded))
            note.update(_tally(acted))  # whole when the last one was taken, before the note is written
            yield run

    with atomic_path(request.folder, RolloutError) as part:
        save_dataset(part, told(), note)
    return tuple(acted)


def _tally(acted: list[Acted] | tuple[Acted, ...]) -> dict[str, Any]:
    successes = sum(each.success for each in acted)
    low, high = wilson_interval(successes, len(acted))
    success = {"successes": successes, "rollouts": len(acted), "rate": successes / max(1, len(acted)), "interval": [low, high],
               "level": 0.95, "method": "Wilson"}  # fmt: skip
    return {"rollouts": [asdict(each) for each in acted], "success": success}
