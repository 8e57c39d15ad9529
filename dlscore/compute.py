"""The loop: replay -> encode -> predict -> score -> cache, for each episode; resumable, and atomic at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dlscore import provenance
from dlscore.cache import BusyError, CacheError, CacheWriter, part_path, read_episode
from dlscore.episodes import Episode, Source
from dlscore.grid import Grid
from dlscore.policy import Policy, PolicyError
from dlscore.replay import DRIFT_LIMIT, Step, replay
from dlscore.scorers import describe, make_scorers

Array = NDArray[Any]

BLOCK = 10  # steps encoded and sampled together, and the most that a kill can lose


@dataclass(frozen=True)
class Settings:
    """What decides the numbers in a cache. `methods` maps each scoring method to its own settings."""

    methods: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: {"likelihood": {}})
    resolution: int = 50
    max_steps: int | None = None
    chunks: int = 8
    seed: int = 0
    replay: str = "actions"


@dataclass(frozen=True)
class Outcome:
    """What became of one episode: `state` is computed, resumed, extended (methods were added) or current."""

    path: Path
    episode: int
    state: str
    steps: int
    seconds: float
    evaluations: int
    drift: tuple[float, float, float]  # the largest of each: agent px, block px, block angle rad

    @property
    def warning(self) -> str:
        """What a user should know about the replay, or ""."""
        if max(self.drift[:2]) <= DRIFT_LIMIT:
            return ""
        return (
            f"episode {self.episode}: the replay drifts {max(self.drift[:2]):.1f} px from the record (limit "
            f"{DRIFT_LIMIT:g}); --replay states sets the recorded state at each step"
        )


def check_inputs(policy: Policy, source: Source) -> None:
    """Raise PolicyError unless the data set has every observation that the policy takes, in the policy's shape."""
    for name, shape in policy.inputs.items():
        if name not in source.features:
            raise PolicyError(
                f"policy {policy.name} takes '{name}', which data set {source.name} lacks; it has "
                f"{', '.join(sorted(source.features))}: choose a data set that was recorded for such a policy"
            )
        if tuple(source.features[name]) != shape:
            raise PolicyError(
                f"policy {policy.name} takes '{name}' of shape {shape}; data set {source.name} has it of shape "
                f"{tuple(source.features[name])}"
            )


def episode_path(folder: Path, index: int) -> Path:
    """Where the cache of an episode lies."""
    return folder / f"episode_{index:03d}.h5"


def compute_episode(
    policy: Policy,
    source: Source,
    index: int,
    path: Path,
    settings: Settings,
    *,
    force: bool = False,
    replace_stale: bool = False,
    progress: Callable[[int, int], None] = lambda done, steps: None,
) -> Outcome:
    """Score one episode into `path`, going on where an earlier run of the same settings stopped.

    A finished file of the same settings is left as it is, and gains the methods that it lacks. A file of other settings
    is a CacheError that names the difference, unless `replace_stale` or `force`; `force` starts over in any case.
    """
    began = time.monotonic()
    grid = Grid(settings.resolution)
    scorers = make_scorers(settings.methods)
    episode = source.load(index, policy.inputs)
    steps = len(episode) if settings.max_steps is None else min(settings.max_steps, len(episode))
    identity = _identity(policy, episode, settings, steps)
    described = {name: describe(scorer, grid) for name, scorer in scorers.items()}
    state, reason = inspect(path, identity, described)
    if state == "stale" and not (force or replace_stale):
        raise CacheError(
            f"{reason}; --force starts over, --replace-stale does so only where settings differ, another --output-dir "
            "keeps both"
        )
    if state == "current" and not force:
        return Outcome(path, index, "current", steps, 0.0, 0, _largest_drift(path))
    if state == "lacking" and not force:
        with read_episode(path) as cache:
            lacking = {name: values for name, values in described.items() if name not in cache.methods}
        writer = CacheWriter.extend(path, lacking)
    elif state == "partial" and not force:
        writer = CacheWriter.reopen(path)
    else:
        writer = CacheWriter.create(
            path,
            time=np.arange(steps) / episode.fps,
            grid=grid,
            samples=settings.chunks,
            horizon=policy.horizon,
            scores=described,
            attrs=_attributes(policy, source, episode, identity, settings),
        )
    state = {"lacking": "extended", "partial": "resumed"}.get("" if force else state, "computed")

    policy.evaluations = 0
    with writer:
        wanted = {name: scorers[name] for name in writer.extending} if writer.extending else scorers
        first = int(writer.done.argmin())  # whole blocks are done in order, so the rest follows the first that is not
        world = None if writer.extending else replay(episode, settings.replay, first, steps)
        progress(first, steps)
        for start in range(first, steps, BLOCK):
            rows = slice(start, min(start + BLOCK, steps))
            conditioning = policy.encode(windows(policy, episode, rows))
            arrays = {} if world is None else _common(policy, episode, rows, conditioning, world, settings)
            chunks = writer.read("predicted_chunks", rows) if world is None else arrays["predicted_chunks"]
            for name, scorer in wanted.items():
                arrays[f"scores/{name}"] = np.stack([
                    scorer.score(policy, conditioning[k : k + 1], chunks[k, 0].astype(np.float64), grid, settings.seed)
                    for k in range(len(conditioning))
                ])  # fmt: skip
            writer.write(rows, arrays)
            progress(rows.stop, steps)
        seconds = time.monotonic() - began
        writer.finish({"wall_time_s": seconds, "network_evaluations": policy.evaluations})
    return Outcome(path, index, state, steps, seconds, policy.evaluations, _largest_drift(path))


def _common(
    policy: Policy, episode: Episode, rows: slice, conditioning: Tensor, world: Iterator[Step], settings: Settings
) -> dict[str, Array]:
    # What a block of steps has whatever the methods are.
    seeds = [[_seed(settings.seed, episode.index, k, m) for m in range(settings.chunks)]
             for k in range(rows.start, rows.stop)]  # fmt: skip
    # float32 px, as the cache keeps them: a method that is added later scores from the same numbers.
    chunks = policy.to_px(policy.sample(conditioning, seeds).cpu().double().numpy()).astype(np.float32)
    replayed = list(islice(world, rows.stop - rows.start))
    return {
        "predicted_chunks": chunks,
        "predicted_action": chunks[:, 0, policy.current],
        "expert_action": episode.action[rows],
        "state": np.stack([step.state for step in replayed]),
        "drift": np.stack([step.drift for step in replayed]),
        "frames": np.stack([step.frame for step in replayed]),
    }


def windows(policy: Policy, episode: Episode, rows: slice) -> dict[str, Array]:
    """Observation windows (B, n_obs_steps, …) that end at each step; before the start LeRobot repeats the first one."""
    ends = np.arange(rows.start, rows.stop)
    index = np.maximum(ends[:, None] + np.array(policy.config.observation_delta_indices), 0)
    return {name: episode.observations[name][index] for name in policy.inputs}


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _identity(policy: Policy, episode: Episode, settings: Settings, steps: int) -> dict[str, Any]:
    # Everything but the methods that decides the numbers; its SHA-256 is the cache's key.
    return {
        "policy": policy.fingerprint,
        "episode_data": episode.fingerprint(),
        "episode": episode.index,
        "steps": steps,
        "action_resolution": settings.resolution,
        "chunks": settings.chunks,
        "seed": settings.seed,
        "replay": settings.replay,
    }


def plan_episode(policy: Policy, source: Source, index: int, path: Path, settings: Settings) -> dict[str, Any]:
    """What `compute_episode` would find and do: state, reason, steps, network evaluations a step."""
    episode, grid = source.load(index, policy.inputs), Grid(settings.resolution)
    steps = len(episode) if settings.max_steps is None else min(settings.max_steps, len(episode))
    scorers = make_scorers(settings.methods)
    described = {name: describe(scorer, grid) for name, scorer in scorers.items()}
    state, reason = inspect(path, _identity(policy, episode, settings, steps), described)
    each = sum(scorer.evaluations(grid) for scorer in scorers.values())
    each += settings.chunks * int(policy.policy.diffusion.num_inference_steps)
    return {"episode": index, "path": str(path), "state": state, "reason": reason, "steps": steps,
            "evaluations_per_step": each}  # fmt: skip


def inspect(path: Path, identity: Mapping[str, Any], described: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """(state, what differs) of the cache at `path` against the settings that are wanted.

    States: "missing"; "current"; "lacking" (finished, but without some methods); "partial" (resumable); "stale"
    (made with other settings, or unreadable, as the second item says).
    """
    finished = not part_path(path).exists()
    candidate = path if finished else part_path(path)
    if not candidate.exists():
        return "missing", ""
    try:
        with read_episode(candidate, partial=not finished) as cache:
            stored = {name: cache.score_attrs(name) for name in cache.methods}
            changed = [provenance.difference(cache.attrs.get("identity", {}), identity)]
            extending = bool(cache.attrs.get("extending"))
    except BusyError:
        raise
    except CacheError as error:
        return "stale", str(error)
    for name in sorted(set(stored) & set(described)):
        changed.append(provenance.difference({name: stored[name]["parameters"]}, {name: described[name]["parameters"]}))
    lacking = set(described) - set(stored)
    if not finished and (lacking or (len(stored) > len(described) and not extending)):
        changed.append(f"methods: {', '.join(sorted(stored))} -> {', '.join(sorted(described))}")
    if any(changed):
        return "stale", f"{candidate} was made with other settings ({', '.join(filter(None, changed))})"
    if not finished:
        return "partial", ""
    return ("lacking", ", ".join(sorted(lacking))) if lacking else ("current", "")


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
        "observations": "recorded",
        "drift_limit_px": DRIFT_LIMIT,
        "current_action_index": policy.current,
        "predicted_action_is": (
            f"entry {policy.current} of the first of {settings.chunks} chunks drawn by the policy's own sampler "
            f"({policy.config.noise_scheduler_type}, {policy.policy.diffusion.num_inference_steps} steps), each with a "
            "random stream of its own from (seed, episode, step, sample)"
        ),
    }


def _largest_drift(path: Path) -> tuple[float, float, float]:
    with read_episode(path) as cache:
        agent, block, angle = (float(value) for value in cache.drift.max(axis=0))
    return agent, block, angle


def run(
    policy: Policy,
    source: Source,
    episodes: Sequence[int],
    folder: Path,
    settings: Settings,
    **options: Any,
) -> list[Outcome]:
    """`compute_episode` for each of `episodes`, after checking all that can be checked before the first."""
    check_inputs(policy, source)
    return [
        compute_episode(policy, source, index, episode_path(folder, index), settings, **options) for index in episodes
    ]


__all__ = [
    "Outcome",
    "Settings",
    "check_inputs",
    "compute_episode",
    "episode_path",
    "inspect",
    "plan_episode",
    "run",
    "windows",
]
