"""The loop: replay -> encode -> predict -> score -> cache, for each episode; resumable, and atomic at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dlscore import provenance
from dlscore.cache import largest_drift, read_episode
from dlscore.cache_writer import CacheWriter
from dlscore.diffusion import Policy
from dlscore.drift import DRIFT_LIMIT, drift_warning
from dlscore.episode import Episode
from dlscore.episodes import Source
from dlscore.grid import Grid
from dlscore.lock import exclusive
from dlscore.memory import within_memory
from dlscore.plan import BLOCK, Settings, compare, count_steps, inspect, load_episode, make_identity
from dlscore.replay import Step, drift_parts, replay
from dlscore.schema import CacheError, StaleError
from dlscore.scorers import Scorer, describe, make_scorers

Array = NDArray[Any]


@dataclass(frozen=True)
class Outcome:
    """What became of one episode: `state` is computed, resumed, extended (methods were added) or current."""

    path: Path
    episode: int
    state: str
    steps: int
    seconds: float
    evaluations: int
    pose_source: str
    drift: dict[str, float]  # the largest of each part of the replay's difference from the record

    @property
    def warning(self) -> str:
        """What a user should know about the replay, or ""."""
        return drift_warning(self.episode, self.drift)


@dataclass(frozen=True)
class _Work:
    # What is scored, how, and into what.
    policy: Policy
    episode: Episode
    settings: Settings
    scorers: Mapping[str, Scorer]
    writer: CacheWriter


def compute_episode(
    policy: Policy,
    source: Source,
    index: int,
    path: Path,
    settings: Settings,
    *,
    force: bool = False,
    replace_stale: bool = False,
    wait: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, steps: None,
    notice: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Score one episode into `path`, going on where an earlier run of the same settings stopped.

    A finished file of the same settings is left as it is, and gains the methods that it lacks. A file of other settings
    is a CacheError that names the difference, unless `replace_stale` or `force`; `force` starts over in any case. One that
    another run is writing is a BusyError after `wait` [s]. `notice` is told what a user should know though the run goes on.
    """
    began = time.monotonic()
    grid = Grid(settings.resolution)
    scorers = make_scorers(settings.methods)
    episode = load_episode(policy, source, index, settings)
    steps = count_steps(len(episode), settings)
    identity = make_identity(policy, episode, settings, steps)
    described = {name: describe(scorer, policy, grid) for name, scorer in scorers.items()}

    def current() -> Outcome:
        with read_episode(path) as cache:
            return Outcome(path, index, "current", steps, 0.0, 0, episode.pose_source, largest_drift(cache))

    if not force and inspect(path, identity, described)[0] == "current":
        return current()
    with exclusive(path, wait) as lock:
        state, reason = (
            ("missing", "") if force else inspect(path, identity, described)
        )  # now that nobody else writes it
        if state == "current":
            return current()
        if state == "stale" and replace_stale and path.exists():
            # Where only the part beside a finished file is unfit, the file keeps its scores and gains what it lacks.
            state, reason = compare(path, identity, described)
        if state == "foreign" or (state == "stale" and not replace_stale):
            raise StaleError(
                f"{reason}; --force starts over, --replace-stale does so only where settings differ, another --output-dir "
                "keeps both"
            )
        if state == "lacking":
            with read_episode(path) as cache:
                lacking = {name: values for name, values in described.items() if name not in cache.methods}
            writer = CacheWriter.extend(path, lacking, lock.check)
        elif state == "partial":
            writer = CacheWriter(path, lock.check)
        else:
            writer = CacheWriter.create(
                path,
                time=np.arange(steps) / episode.fps,
                grid=grid,
                samples=settings.chunks,
                horizon=policy.horizon,
                drift=drift_parts(episode),
                scores=described,
                attrs=_attributes(policy, source, episode, identity, settings),
                still_ours=lock.check,
            )
        wanted = {name: scorers[name] for name in writer.extending} if writer.extending else scorers
        evaluations = _fill(_Work(policy, episode, settings, wanted, writer), began, progress, notice)
        worst = writer.read("drift", slice(None)).max(axis=0)
        drift = dict(zip(writer.drift_parts, (float(value) for value in worst), strict=True))
        done = {"lacking": "extended", "partial": "resumed"}.get(state, "computed")
        seconds = time.monotonic() - began
        outcome = Outcome(path, index, done, steps, seconds, evaluations, episode.pose_source, drift)
        writer.finish({"drift_warning": outcome.warning})
    return outcome


def _fill(work: _Work, began: float, progress: Callable[[int, int], None], notice: Callable[[str], None]) -> int:
    # Block by block from the first step that is not done, since whole blocks are done in order; the evaluations spent.
    policy, episode, settings, writer = work.policy, work.episode, work.settings, work.writer
    first, steps = int(np.append(writer.done, False).argmin()), writer.steps
    spent, evaluations = writer.spent, 0
    world = None if writer.extending else replay(episode, settings.replay, first, steps)
    columns = [] if world is None else _columns(writer.path, writer.drift_parts, drift_parts(episode))
    progress(first, steps)
    for start in range(first, steps, BLOCK):
        rows = slice(start, min(start + BLOCK, steps))
        arrays = {} if world is None else _replayed(episode, rows, world, columns)
        scores, spent_here = within_memory(policy, partial(_score, work, rows), notice)
        evaluations += spent_here
        cost = {
            "wall_time_s": spent["wall_time_s"] + time.monotonic() - began,
            "network_evaluations": int(spent["network_evaluations"]) + evaluations,
            "batch_size": policy.batch_size,
        }
        writer.write(rows, arrays | scores, cost)
        progress(rows.stop, steps)
    return evaluations


def _score(work: _Work, rows: slice) -> tuple[dict[str, Array], int]:
    # What depends on the network at a block of steps, and how many evaluations that took.
    policy, settings, writer = work.policy, work.settings, work.writer
    before = policy.evaluations
    conditioning = policy.encode(windows(policy, work.episode, rows))
    found = {} if writer.extending else _predicted(policy, work.episode, rows, conditioning, settings)
    chunks = writer.read("predicted_chunks", rows) if writer.extending else found["predicted_chunks"]
    for name, scorer in work.scorers.items():
        scores = scorer.score(policy, conditioning, chunks.astype(np.float64), Grid(settings.resolution), settings.seed)
        found[f"scores/{name}"] = scores.values
        found |= {f"checks/{name}/{check}": values for check, values in scores.checks.items()}
    return found, policy.evaluations - before


def _columns(path: Path, wanted: tuple[str, ...], found: tuple[str, ...]) -> list[int]:
    # Which parts of the drift go into the file: a part that was begun earlier may keep fewer than there are today.
    if missing := [part for part in wanted if part not in found]:
        raise CacheError(
            f"{path} was begun with a record that had {', '.join(missing)}, which it lacks now; --force starts over"
        )
    return [found.index(part) for part in wanted]


def _predicted(
    policy: Policy, episode: Episode, rows: slice, conditioning: Tensor, settings: Settings
) -> dict[str, Array]:
    # What the policy predicts at a block of steps, whatever the methods are.
    seeds = [[_seed(settings.seed, episode.index, k, m) for m in range(settings.chunks)]
             for k in range(rows.start, rows.stop)]  # fmt: skip
    # float32 px, as the cache keeps them: a method that is added later scores from the same numbers.
    chunks = policy.to_px(policy.sample(conditioning, seeds).cpu().double().numpy()).astype(np.float32)
    return {"predicted_chunks": chunks, "predicted_action": chunks[:, 0, policy.current]}


def _replayed(episode: Episode, rows: slice, world: Iterator[Step], columns: list[int]) -> dict[str, Array]:
    replayed = list(islice(world, rows.stop - rows.start))
    return {
        "expert_action": episode.action[rows],
        "state": np.stack([step.state for step in replayed]),
        "drift": np.stack([step.drift for step in replayed])[:, columns],
        "frames": np.stack([step.frame for step in replayed]),
    }


def windows(policy: Policy, episode: Episode, rows: slice) -> dict[str, Array]:
    """Observation windows (B, n_obs_steps, …) that end at each step; before the start LeRobot repeats the first one."""
    ends = np.arange(rows.start, rows.stop)
    index = np.maximum(ends[:, None] + np.array(policy.config.observation_delta_indices), 0)
    return {name: episode.observations[name][index] for name in policy.inputs}


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _attributes(
    policy: Policy, source: Source, episode: Episode, identity: Mapping[str, Any], settings: Settings
) -> dict[str, Any]:
    return {
        "episode": episode.index,
        "fps": episode.fps,
        "policy": policy.name,
        "policy_revision": policy.revision,
        "dataset": source.name,
        "dataset_revision": source.revision,
        "seed": settings.seed,
        "device": str(policy.device),
        "batch_size": policy.batch_size,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": provenance.versions(),
        "git_revision": provenance.git_revision(),
        "identity": dict(identity),
        "key": provenance.settings_key(identity),
        "pose_source": episode.pose_source,
        "pose_note": episode.pose_note,
        "observations": settings.observations,
        "replay": settings.replay,
        "drift_limit_px": DRIFT_LIMIT,
        "current_action_index": policy.current,
        "predicted_action_is": (
            f"entry {policy.current} of the first of {settings.chunks} chunks drawn by the policy's own sampler "
            f"({policy.config.noise_scheduler_type}, {policy.policy.diffusion.num_inference_steps} steps), each with a "
            "random stream of its own from (seed, episode, step, sample)"
        ),
    }
