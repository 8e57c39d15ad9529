"""What a run is to do, and what it finds: settings, the identity of a cache, and its state against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore import provenance, pusht
from dlscore.cache import read_episode
from dlscore.episode import Episode, is_image
from dlscore.episodes import Source
from dlscore.errors import UserError
from dlscore.grid import Grid
from dlscore.replay import observe, replayed_observations
from dlscore.schema import CacheError, ForeignError, part_path
from dlscore.scorers import describe, make_scorers

if TYPE_CHECKING:
    from dlscore.diffusion import Policy


BLOCK = 10  # steps encoded and sampled together, and the most that a kill can lose


class InputError(UserError):
    """A policy and a data set that do not fit each other."""


@dataclass(frozen=True)
class Settings:
    """What decides the numbers in a cache. `methods` maps each scoring method to its own settings."""

    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"likelihood": {}})
    resolution: int = 50
    max_steps: int | None = None
    chunks: int = 8
    seed: int = 0
    replay: str = "actions"
    observations: str = "recorded"


def check_inputs(policy: Policy, source: Source, observations: str = "recorded") -> None:
    """Raise InputError unless every observation that the policy takes can be had, in the policy's shape."""
    if observations == "replayed":
        env = pusht.make_env()
        for name, shape in policy.inputs.items():
            observe(env, name, shape)
        if (cameras := sum(map(is_image, policy.inputs.values()))) > 1:
            raise InputError(
                f"--observations replayed has one camera, gym-pusht's own; policy {policy.name} takes {cameras}: use recorded"
            )
        return
    for name, shape in policy.inputs.items():
        if name not in source.features:
            raise InputError(
                f"policy {policy.name} takes '{name}', which data set {source.name} lacks; it has "
                f"{', '.join(sorted(source.features))}: choose a data set that was recorded for such a policy, give a feature "
                "that name with --rename-map, or make them anew with --observations replayed"
            )
        if tuple(source.features[name]) != shape:
            raise InputError(
                f"policy {policy.name} takes '{name}' of shape {shape}; data set {source.name} has it of shape "
                f"{tuple(source.features[name])}"
            )


def episode_path(folder: Path, index: int) -> Path:
    """Where the cache of an episode lies."""
    return folder / f"episode_{index:03d}.h5"


def count_steps(length: int, settings: Settings) -> int:
    """How many steps of an episode of this length are scored."""
    return length if settings.max_steps is None else min(settings.max_steps, length)


def make_identity(policy: Policy, episode: Episode, settings: Settings, steps: int) -> dict[str, Any]:
    """Everything but the methods that decides the numbers in a cache; its SHA-256 is the cache's key."""
    identity = {
        "policy": policy.fingerprint,
        "episode_data": episode.fingerprint(),
        "episode": episode.index,
        "steps": steps,
        "action_resolution": settings.resolution,
        "chunks": settings.chunks,
        "seed": settings.seed,
        "replay": settings.replay,
    }
    # What most runs do not say has no entry, so that the caches of earlier versions stay current.
    if settings.observations != "recorded":
        identity["observations"] = settings.observations
    return identity


def load_episode(policy: Policy, source: Source, index: int, settings: Settings) -> Episode:
    """The episode with the observations that the policy takes, recorded or replayed."""
    if settings.observations == "recorded":
        return source.load(index, policy.inputs)
    episode = source.load(index)
    return replayed_observations(episode, policy.inputs, settings.replay, count_steps(len(episode), settings))


def plan_episode(policy: Policy, source: Source, index: int, path: Path, settings: Settings) -> dict[str, Any]:
    """What `compute_episode` would find and do: state, reason, steps, those done, evaluations a step."""
    episode, grid = load_episode(policy, source, index, settings), Grid(settings.resolution)
    steps = count_steps(len(episode), settings)
    scorers = make_scorers(settings.methods)
    described = {name: describe(scorer, policy, grid) for name, scorer in scorers.items()}
    state, reason = inspect(path, make_identity(policy, episode, settings, steps), described)
    done = steps if state == "current" else 0
    if state == "partial":
        with read_episode(part_path(path), partial=True) as cache:
            done = int(cache.done.sum())
    each = sum(scorer.evaluations(policy, grid) for scorer in scorers.values())
    each += settings.chunks * int(policy.policy.diffusion.num_inference_steps)
    return {"episode": index, "path": str(path), "state": state, "reason": reason, "steps": steps,
            "steps_done": done, "evaluations_per_step": each}  # fmt: skip


def plan_episodes(
    policy: Policy, source: Source, indices: Sequence[int], settings: Settings, folder: Path, force: bool = False
) -> list[dict[str, Any]]:
    """`plan_episode` of each; one that cannot be planned has the state "failed" and the reason.

    Under `force` whatever is there has the state "forced": it is started over.
    """
    rows = []
    for index in indices:
        path = episode_path(folder, index)
        try:
            row = plan_episode(policy, source, index, path, settings)
            if force and row["state"] != "missing":
                row |= {"state": "forced", "reason": f"it is {row['state']}", "steps_done": 0}
            rows.append(row)
        except UserError as error:
            rows.append({"episode": index, "path": str(path), "state": "failed", "reason": str(error)})
    return rows


def inspect(path: Path, identity: Mapping[str, Any], described: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """(state, what differs) of the cache at `path` against the settings that are wanted.

    States: "missing"; "current"; "lacking" (finished, but without some methods); "partial" (resumable); "stale"
    (made with other settings, or unreadable, as the second item says); "foreign" (no cache, or of a newer schema).
    """
    found = [compare(candidate, identity, described) for candidate in (path, part_path(path)) if candidate.exists()]
    if not found:
        return "missing", ""
    # A part beside a finished file adds methods to it; whoever does not ask for them has what they need.
    return found[0] if found[0][0] == "current" else found[-1]


def compare(file: Path, identity: Mapping[str, Any], described: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """`inspect` of one file that exists, finished or a part."""
    finished = file.suffix == ".h5"
    try:
        with read_episode(file, partial=not finished) as cache:
            stored = {name: cache.score_attrs(name) for name in cache.methods}
            changed = [provenance.difference(cache.attrs.get("identity", {}), identity)]
            being_made = set(cache.attrs.get("extending", stored))
    except ForeignError as error:
        return "foreign", str(error)
    except CacheError as error:
        return "stale", str(error)
    for name in sorted(set(stored) & set(described)):
        settings = provenance.difference(stored[name]["parameters"], described[name]["parameters"])
        changed.append(settings and f"{name} {settings}")
    lacking = set(described) - set(stored)
    if not finished and (lacking or being_made - set(described)):
        changed.append(f"methods: {', '.join(sorted(stored))} -> {', '.join(sorted(described))}")
    if any(changed):
        return "stale", f"{file} was made with other settings ({', '.join(filter(None, changed))})"
    if not finished:
        return "partial", ""
    return ("lacking", ", ".join(sorted(lacking))) if lacking else ("current", "")
