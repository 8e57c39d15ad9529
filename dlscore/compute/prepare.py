"""From options to a run: whatever can be refused is refused before any work starts, cheap checks first."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.cache.schema import cache_bytes
from dlscore.common.arrays import Array
from dlscore.common.files import check_writable
from dlscore.common.progress import Notice, Watch, no_notice, silent
from dlscore.compute.identity import digest_inputs
from dlscore.compute.resources import check_disk, check_memory
from dlscore.compute.settings import Request, RequestError, Settings, episode_path
from dlscore.episodes.dataset import Dataset, open_dataset
from dlscore.episodes.episode import DatasetError, is_image
from dlscore.policy.base import Policy
from dlscore.policy.config import read_config, read_rename_map
from dlscore.policy.families import choose_family
from dlscore.policy.folder import resolve_policy
from dlscore.scores.likelihood import STORED
from dlscore.scores.methods import make_scorers

if TYPE_CHECKING:  # torch takes seconds to import, and everything up to `load_run` does without it
    from dlscore.compute.run import Run

__all__ = ["digest_request", "load_run", "open_request", "parse_episodes", "parse_rename_map", "prepare_run",
           "read_actions"]  # fmt: skip

COMPONENTS_PER_SAMPLE = 2  # of a mixture, about


def prepare_run(request: Request) -> Run:
    """`open_request`, and the policy loaded."""
    dataset, _, settings = open_request(request)
    return load_run(request, dataset, settings)


def open_request(
    request: Request, *, rewrite: bool = False, watch: Watch = silent
) -> tuple[Dataset, list[int], Settings]:
    """(data set, indices of the episodes, settings), after every check that needs neither torch nor the policy.

    rewrite: whether the run may replace existing caches, which needs disk space beside them.
    """
    settings = make_settings(request)
    rename = parse_rename_map(request.rename_map)
    check_writable(request.output_dir, RequestError)
    config: dict[str, Any] = {}

    def check_config(folder: Path) -> None:  # before the weights are fetched
        config.update(read_config(folder, request.policy_path))

    folder, _ = resolve_policy(request.policy_path, request.policy_revision, check_config)
    dataset = open_dataset(
        request.dataset_repo_id,
        request.dataset_root,
        request.dataset_revision,
        rename=rename,
        optional_rename=read_rename_map(folder),
        block_pose=request.block_pose,
        every_step=request.replay == "states",
        watch=watch,
    )
    indices = parse_episodes(request.episodes, len(dataset), dataset.name)
    family = choose_family(config["type"], request.policy_path)
    settings = replace(settings, task=_find_task(family, request, dataset))
    horizon = family.horizon_of(config)
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    longest = max(settings.reach(dataset.lengths[index]) for index in indices)
    cameras = [feature["shape"] for feature in config["input_features"].values() if is_image(tuple(feature["shape"]))]
    pictures = sum(longest * math.prod(shape) for shape in cameras)  # uint8
    check_memory(weights, settings.resolution, len(settings.scorers), pictures)
    _check_room(request.output_dir, dataset, indices, settings, horizon, rewrite)
    return dataset, indices, settings


def digest_request(request: Request) -> dict[int, str]:
    """`identity.digest_inputs` of the episodes that a request names."""
    dataset = open_dataset(request.dataset_repo_id, request.dataset_root, request.dataset_revision)
    return digest_inputs(request, dataset, parse_episodes(request.episodes, len(dataset), dataset.name))


def _find_task(family: type[Policy], request: Request, dataset: Dataset) -> str:
    # The text that the policy is told: the data set's, unless --task says another; "" where it takes none.
    if not family.takes_task:
        if request.task is not None:
            raise RequestError(
                f"--task is for policies that take a text; {request.policy_path} of type {family.family!r} takes none"
            )
        return ""
    if request.task is not None:
        return request.task
    if len(dataset.tasks) != 1:
        raise RequestError(
            f"policy {request.policy_path} takes a text, and data set {dataset.name} has {len(dataset.tasks)} of them; give one "
            "by --task"
        )
    return dataset.tasks[0]


def read_actions(repo_id: str | None, root: str | None, revision: str | None, episodes: str = "all") -> list[Array]:
    """(T, 2) recorded actions [px] of each of the episodes of a data set."""
    dataset = open_dataset(repo_id, root, revision)
    return [dataset.actions(index) for index in parse_episodes(episodes, len(dataset), dataset.name)]


def make_settings(request: Request) -> Settings:
    """Those of the options that decide the numbers, checked."""
    options = {"likelihood": request.likelihood, "noise_pred": request.noise_pred}
    scorers = make_scorers({method: options.get(method, {}) for method in request.methods})
    return Settings(
        tuple(scorers.values()),
        request.resolution,
        request.max_steps,
        request.chunks,
        request.seed,
        request.replay,
        request.observations,
        request.every,
    )


def _check_room(
    folder: Path, dataset: Dataset, indices: Sequence[int], settings: Settings, horizon: int, rewrite: bool
) -> None:
    sizes: dict[bool, list[float]] = {False: [], True: []}  # by whether a file exists
    # Before the policy is loaded, a scorer's layout is not known.
    samples = [int(getattr(scorer, "samples", 0)) for scorer in settings.scorers if hasattr(scorer, "layout")]
    mixtures = COMPONENTS_PER_SAMPLE * sum(samples), sum(min(STORED, each) for each in samples)
    for index in indices:
        steps = settings.count_steps(dataset.lengths[index])
        size = cache_bytes(steps, settings.resolution, len(settings.scorers), settings.chunks, horizon, *mixtures)
        sizes[episode_path(folder, index).exists()].append(size)
    check_disk(folder, sizes[False], sizes[True] if rewrite else [])


def load_run(request: Request, dataset: Dataset, settings: Settings, notice: Notice = no_notice) -> Run:
    """The run, with the policy loaded and its notes told; InputError if it takes what the data set lacks."""
    from dlscore.compute.run import Run
    from dlscore.policy.load import load_policy

    policy = load_policy(
        request.policy_path, device=request.device, revision=request.policy_revision, batch_size=request.batch_size
    )
    for note in policy.notes:
        notice(note)
    policy.set_task(settings.task)
    run = Run(policy, dataset, settings)
    if policy.kind != "denoiser":  # a method that the kind has not is refused once, not at each episode
        for scorer in run.scorers.values():
            scorer.evaluations(policy, run.grid)
    return run


def parse_rename_map(text: str) -> dict[str, str]:
    """The data set's names -> the policy's, from JSON as LeRobot's --rename_map takes it; RequestError if it is none."""
    try:
        names = json.loads(text or "{}")
    except ValueError:
        names = None
    if not isinstance(names, dict) or not all(isinstance(new, str) for new in names.values()):
        raise RequestError(
            f"--rename-map {text!r} is not understood; write JSON from the data set's names to the policy's, such as "
            '\'{"observation.images.top": "observation.image"}\''
        )
    return names


def parse_episodes(text: str, count: int, name: str = "the data set") -> list[int]:
    """Indices of `0-9,12,20-` or `all` among `count` episodes, ascending, each once; DatasetError if any is not there."""
    if text.strip() == "all":
        return list(range(count))
    chosen: set[int] = set()
    for item in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:(-)\s*(\d*)\s*)?", item, re.ASCII)
        if match is None:
            raise DatasetError(
                f"--episodes {text!r} is not understood at {item!r}; write such as 3 or 0-9,12,20- or all"
            )
        first = int(match[1])
        last = first if match[2] is None else int(match[3]) if match[3] else max(count - 1, first)
        if last < first:
            raise DatasetError(f"--episodes {text!r} has {item.strip()}, which runs backwards; write {last}-{first}")
        if last >= count:
            raise DatasetError(f"episode {last} is not in {name}; it has episodes 0 to {count - 1}")
        chosen.update(range(first, last + 1))
    return sorted(chosen)
