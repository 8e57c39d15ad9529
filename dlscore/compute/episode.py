"""One episode: replay -> encode -> predict -> score -> cache, block by block; resumable, and atomic at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dlscore.cache.drift import largest_drift
from dlscore.cache.errors import CacheError, StaleError
from dlscore.cache.lock import Lock, exclusive
from dlscore.cache.reader import open_cache
from dlscore.cache.writer import CacheWriter, Header
from dlscore.common.arrays import Array
from dlscore.common.files import follow_link
from dlscore.common.progress import Notice, Report, no_notice, no_report
from dlscore.compute.attributes import file_attributes
from dlscore.compute.density import check_scores, score_arrays
from dlscore.compute.fields import StepBlock, compute_fields
from dlscore.compute.outcome import Outcome
from dlscore.compute.run import Run
from dlscore.compute.settings import BLOCK_STEPS, Options
from dlscore.compute.shared_replay import open_shared, read_replay
from dlscore.compute.state import CacheState, inspect_cache, inspect_file
from dlscore.episodes.episode import Episode, to_unit
from dlscore.episodes.replay import ReplayStep, measured_parts, replay
from dlscore.policy.base import Policy
from dlscore.policy.out_of_memory import within_memory
from dlscore.scores.base import Scorer

__all__ = ["compute_episode", "windows"]


@dataclass(frozen=True)
class _Work:
    # What is scored, with which of the run's scorers, and into what.
    run: Run
    episode: Episode
    scorers: Mapping[str, Scorer]
    writer: CacheWriter
    replay_from: Path | None = None


def compute_episode(
    run: Run,
    index: int,
    path: str | Path,
    options: Options = Options(),  # noqa: B008  frozen
    *,
    progress: Report = no_report,
    notice: Notice = no_notice,
) -> Outcome:
    """Score one episode into `path`, resuming where an earlier run with the same settings stopped.

    A finished file of the same settings is left as it is, or gains the methods that it lacks. Raises CacheError: StaleError
    for a file of other settings, with the difference, unless `options` replaces it; BusyError if another run is still
    writing it after `options.wait` seconds. `notice` receives what a user should know while the run goes on.
    """
    began, path = time.monotonic(), follow_link(Path(path))
    episode = run.load(index)
    identity = run.identity(episode)
    if not options.force and inspect_cache(path, identity, run.score_attrs).name == "current":
        return _current(path)
    with exclusive(path, options.wait) as lock:
        state = _decide(run, path, identity, options)  # asked again, now that nobody else writes it
        if state.name == "current":
            return _current(path)
        writer = _open_writer(run, episode, path, state, lock)
        scorers = {name: run.scorers[name] for name in writer.extending} if writer.extending else run.scorers
        evaluations = _fill(_Work(run, episode, scorers, writer, options.replay_from), began, progress, notice)
        drift = largest_drift(writer.drift_parts, writer.read("drift", slice(None)))
        done = {"lacking": "extended", "partial": "resumed"}.get(state.name, "computed")
        seconds = time.monotonic() - began
        outcome = Outcome(path, index, done, writer.steps, seconds, evaluations, episode.pose_source, drift)
        writer.finish({"drift_warning": outcome.warning})
    return outcome


def _decide(run: Run, path: Path, identity: Mapping[str, Any], options: Options) -> CacheState:
    # The state from which the episode is computed; StaleError where a file is in the way.
    if options.force:
        return CacheState("missing")
    state = inspect_cache(path, identity, run.score_attrs)
    if state.name == "stale" and options.replace_stale and path.exists():
        # If only the part beside a finished file is unusable, the file keeps its scores and gains what it lacks.
        state = inspect_file(path, identity, run.score_attrs)
    if state.name == "foreign" or (state.name == "stale" and not options.replace_stale):
        raise StaleError(
            f"{state.reason}; --force starts over, --replace-stale does so only where settings differ, another "
            "--output-dir keeps both"
        )
    return state


def _current(path: Path) -> Outcome:
    with open_cache(path) as cache:
        return Outcome.of_current(cache)


def _open_writer(run: Run, episode: Episode, path: Path, state: CacheState, lock: Lock) -> CacheWriter:
    if state.name == "lacking":
        with open_cache(path) as cache:
            lacking = {name: attrs for name, attrs in run.score_attrs.items() if name not in cache.methods}
        return CacheWriter.extend(path, lacking, lock.check)
    if state.name == "partial":
        return CacheWriter.narrow(path, state.extra, lock.check) if state.extra else CacheWriter(path, lock.check)
    header = Header(
        time=np.arange(run.settings.count_steps(len(episode))) * run.settings.every / episode.fps,
        grid=run.grid,
        chunks=run.settings.chunks,
        horizon=run.policy.horizon,
        drift_parts=measured_parts(episode),
        scores=run.score_attrs,
        attrs=file_attributes(run, episode, run.identity(episode)),
    )
    return CacheWriter.create(path, header, lock.check)


def _fill(work: _Work, began: float, progress: Report, notice: Notice) -> int:
    # Block by block from the first step that is not done, since blocks are done in order. Returns the evaluations spent.
    run, episode, writer = work.run, work.episode, work.writer
    first, steps = int(np.append(writer.done, False).argmin()), writer.steps
    spent, evaluations = writer.spent, 0
    world = None if writer.extending else _replay(work, slice(first, steps))
    if world is not None:
        _check_parts(writer.path, writer.drift_parts, measured_parts(episode))
        _check_parts(writer.path, writer.outcome, list(episode.outcome))
    progress(first, steps)
    for start in range(first, steps, BLOCK_STEPS):
        rows = slice(start, min(start + BLOCK_STEPS, steps))
        replayed = [] if world is None else list(islice(world, rows.stop - rows.start))
        scores, chunks, spent_here = within_memory(run.policy, partial(_score, work, rows), notice)
        if world is not None:
            block = StepBlock(run, episode, run.settings.steps_of(rows), replayed, chunks, writer.drift_parts)
            scores |= compute_fields(block)
        evaluations += spent_here
        cost = {
            "wall_time_s": spent["wall_time_s"] + time.monotonic() - began,
            "network_evaluations": int(spent["network_evaluations"]) + evaluations,
            "batch_size": run.policy.batch_size,
        }
        writer.write(rows, scores, cost)
        progress(rows.stop, steps)
    return evaluations


def _replay(work: _Work, rows: slice) -> Iterator[ReplayStep]:
    run, episode = work.run, work.episode
    if work.replay_from is not None:
        shared = open_shared(work.replay_from / work.writer.path.name, run.identity(episode))
        if shared is not None:
            return read_replay(shared, rows.start)
    steps = run.settings.steps_of(rows)
    return replay(episode, run.settings.replay, steps.start, run.settings.reach(len(episode)), run.settings.every)


def _score(work: _Work, rows: slice) -> tuple[dict[str, Array], Array, int]:
    # Scores and checks of a block of steps, the drawn chunks they start from, and the evaluations that this took.
    run, policy, writer = work.run, work.run.policy, work.writer
    before = policy.evaluations
    steps = run.settings.steps_of(rows)
    conditioning = policy.encode(windows(policy, work.episode, steps))
    drawn = writer.read("predicted_chunks", rows) if writer.extending else None
    chunks = _draw_chunks(run, work.episode, steps, conditioning) if drawn is None else drawn
    found: dict[str, Array] = {}
    for name, scorer in work.scorers.items():
        scores = scorer.score(policy, conditioning, chunks.astype(np.float64), run.grid, run.settings.seed)
        shape = (len(conditioning), run.grid.resolution, run.grid.resolution)
        check_scores(scorer, scores, run.score_attrs[name], shape)
        found |= score_arrays(run, name, scores, chunks, work.episode, _range(steps))
    return found, chunks, policy.evaluations - before


def _draw_chunks(run: Run, episode: Episode, steps: slice, conditioning: Tensor) -> Array:
    # (S, M, H, 2) float32 px, as the cache keeps them: a method that is added later scores from the same numbers.
    policy, settings = run.policy, run.settings
    seeds = [[_derive_seed(settings.seed, episode.index, k, m) for m in range(settings.chunks)]
             for k in _range(steps)]  # fmt: skip
    return policy.to_px(policy.sample(conditioning, seeds).cpu().double().numpy()).astype(np.float32)


def _range(steps: slice) -> range:
    return range(steps.start, steps.stop, steps.step or 1)


def _derive_seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _check_parts(path: Path, wanted: Sequence[str], measured: Sequence[str]) -> None:
    # A part that was begun earlier may store fewer parts of the record than there are today, but not others.
    if missing := [part for part in wanted if part not in measured]:
        raise CacheError(
            f"{path} was begun with a record that had {', '.join(missing)}, which it lacks now; --force starts over"
        )


def windows(policy: Policy, episode: Episode, steps: slice) -> dict[str, Array]:
    """Observation windows (S, n_obs_steps, …) that end at each step; before the start LeRobot repeats the first one."""
    ends = np.array(_range(steps))
    index = np.maximum(ends[:, None] + np.array(policy.observation_indices), 0)
    return {name: to_unit(episode.observations[name][index]) for name in policy.inputs}
