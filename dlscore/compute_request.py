"""What a user asks of `dlscore compute`, checked from the cheap to the dear before any work starts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.checkpoint_config import read_config, read_rename_map
from dlscore.episode import DatasetError
from dlscore.episodes import Source, open_source
from dlscore.errors import UserError
from dlscore.folders import check_writable
from dlscore.grid import Grid
from dlscore.hub import policy_folder
from dlscore.plan import Settings, check_inputs, count_steps, episode_path
from dlscore.preflight import cache_bytes, check_disk, check_memory
from dlscore.replay import MODES, ReplayError
from dlscore.scorers import make_scorers

if TYPE_CHECKING:
    from dlscore.diffusion import Policy


OBSERVATIONS = ("recorded", "replayed")


class RequestError(UserError):
    """An output folder or an option that cannot be used."""


@dataclass(frozen=True)
class Request:
    """The options of `dlscore compute`."""

    policy_path: str
    dataset_repo_id: str | None = None
    dataset_root: str | None = None
    policy_revision: str | None = None
    dataset_revision: str | None = None
    episodes: str = "0"
    methods: Sequence[str] = ("likelihood",)
    likelihood: Mapping[str, Any] = field(default_factory=dict)
    noise_pred: Mapping[str, Any] = field(default_factory=dict)
    resolution: int = 50
    max_steps: int | None = None
    chunks: int = 8
    seed: int = 0
    replay: str = "actions"
    observations: str = "recorded"
    block_pose: str = "auto"
    rename_map: str = ""
    device: str = "auto"
    batch_size: int | None = None
    output_dir: Path = Path("data/cache")


def prepare(request: Request) -> tuple[Policy, Source, list[int], Settings]:
    """`open_request`, and the policy loaded."""
    source, indices, settings = open_request(request)
    return load(request, source, settings), source, indices, settings


def open_request(request: Request, rewrite: bool = False) -> tuple[Source, list[int], Settings]:
    """Open the data set, and check everything that can be refused without torch and the policy.

    rewrite: whether the run may make anew what is there, which needs room beside it.
    """
    options = {"likelihood": request.likelihood, "noise_pred": request.noise_pred}
    methods = {method: options.get(method, {}) for method in request.methods}
    make_scorers(methods)
    Grid(request.resolution)
    if request.replay not in MODES:
        raise ReplayError(f"--replay {request.replay} does not exist; choose from {', '.join(MODES)}")
    if request.observations not in OBSERVATIONS:
        raise RequestError(
            f"--observations {request.observations} does not exist; choose from {', '.join(OBSERVATIONS)}"
        )
    rename = parse_rename_map(request.rename_map)
    check_writable(request.output_dir, RequestError)

    def check_config(folder: Path) -> None:  # before its weights are fetched, and before torch is imported
        read_config(folder, request.policy_path)

    folder, _ = policy_folder(request.policy_path, request.policy_revision, check_config)
    source = open_source(
        request.dataset_repo_id,
        request.dataset_root,
        request.dataset_revision,
        rename=rename,
        optional_rename=read_rename_map(folder),
        block_pose=request.block_pose,
        every_step=request.replay == "states",
    )
    indices = parse_episodes(request.episodes, len(source), source.name)
    settings = Settings(
        methods,
        request.resolution,
        request.max_steps,
        request.chunks,
        request.seed,
        request.replay,
        request.observations,
    )
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    check_memory(weights, request.resolution, len(methods))
    horizon = read_config(folder, request.policy_path).get("horizon", 16)
    sizes: dict[bool, list[float]] = {False: [], True: []}  # by whether a file is there
    for index in indices:
        size = cache_bytes(
            count_steps(source.lengths[index], settings), request.resolution, len(methods), request.chunks, horizon
        )
        sizes[episode_path(request.output_dir, index).exists()].append(size)
    check_disk(request.output_dir, sizes[False], sizes[True] if rewrite else [])
    return source, indices, settings


def load(request: Request, source: Source, settings: Settings) -> Policy:
    """The policy, which takes what the data set has."""
    from dlscore.policy import load_policy

    policy = load_policy(
        request.policy_path, device=request.device, revision=request.policy_revision, batch_size=request.batch_size
    )
    check_inputs(policy, source, settings.observations)
    return policy


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
