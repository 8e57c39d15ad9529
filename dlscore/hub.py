"""Hub ids to local folders: what is cached is used at once, what is not is asked for once, with a short time limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlscore.errors import UserError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ASK_SECONDS = 5.0  # how long the hub may take to say whether a repository exists
DATASET_TAG = "v3.0"  # LeRobot tags the revision of a data set that is of this format, and fetches that one

POLICY_FILES = ["model.safetensors", "policy_preprocessor*", "policy_postprocessor*"]


class HubError(UserError):
    """A hub id that is neither cached nor reachable."""


def policy_folder(
    path_or_id: str, revision: str | None = None, check: Callable[[Path], object] = lambda folder: None
) -> tuple[Path, str]:
    """(folder, resolved revision) of a checkpoint: a folder, that of a training run, or a hub id.

    `check` is called with the folder when it holds config.json, before the weights are fetched.
    """
    folder = Path(path_or_id)
    try:
        there = folder.exists()
        found, below = _in_training_run(folder) if there else (folder, "")
    except (OSError, RuntimeError) as error:  # no permission, a name too long, links in a circle
        raise HubError(f"policy {path_or_id} cannot be looked into ({type(error).__name__}: {error})") from error
    if there:
        if revision is not None:
            raise HubError(
                f"--policy-revision {revision} is of the hub; policy {path_or_id} is a folder here: leave it out"
            )
        check(found)
        return found, f"local {below}".strip()
    if not _is_hub_id(path_or_id):
        raise HubError(f"policy {path_or_id} is neither a folder nor a hub id such as lerobot/diffusion_pusht")
    check(_snapshot(path_or_id, [revision], "model", ["config.json"], ["config.json"]))
    found = _snapshot(path_or_id, [revision], "model", ["config.json", *POLICY_FILES], ["model.safetensors"])
    return found, found.name


def _is_hub_id(text: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return HUB_ID.fullmatch(text) is not None


def _in_training_run(folder: Path) -> tuple[Path, str]:
    # LeRobot writes <run>/checkpoints/<step>/pretrained_model, and a link <run>/checkpoints/last.
    if folder.is_file():
        raise HubError(f"policy {folder} is a file; give the folder that it is in")
    if (folder / "config.json").is_file():
        return folder, ""
    base = folder.resolve()
    root = base / "checkpoints" if (base / "checkpoints").is_dir() else base
    steps = [path for path in root.glob("[0-9]*") if path.name.isascii() and path.name.isdigit()]
    numbered = sorted(steps, key=lambda path: int(path.name))
    for candidate in (base, (root / "last").resolve(), *reversed(numbered)):
        model = candidate / "pretrained_model"
        if all((model / name).is_file() for name in ("config.json", "model.safetensors")):  # saving it was not cut off
            return model, str(model.relative_to(base) if model.is_relative_to(base) else model.name)
    raise HubError(
        f"policy folder {folder} has no config.json, nor checkpoints/*/pretrained_model/config.json; give the folder that "
        "save_pretrained wrote, or that of a training run"
    )


def dataset_folder(repo_id: str, revision: str | None = None, *, ask: bool = True) -> tuple[Path, str]:
    """(folder, resolved revision) of a data set: its copy under HF_LEROBOT_HOME, a cached snapshot, or the hub's."""
    from lerobot.utils.constants import HF_LEROBOT_HOME, HF_LEROBOT_HUB_CACHE

    local = Path(HF_LEROBOT_HOME) / repo_id
    if revision is None and (local / "meta" / "info.json").is_file():
        return local, "local"
    if not _is_hub_id(repo_id):
        raise HubError(f"data set {repo_id} is no hub id such as lerobot/pusht; for a folder use --dataset-root")
    revisions: list[str | None] = [revision] if revision else [DATASET_TAG, None]
    found = _snapshot(repo_id, revisions, "dataset", None, ["meta/info.json", "data"], Path(HF_LEROBOT_HUB_CACHE), ask)
    return found, found.name


def _snapshot(
    repo_id: str, revisions: list[str | None], kind: str, patterns: list[str] | None, needed: list[str],
    cache: Path | None = None, ask: bool = True,
) -> Path:  # fmt: skip
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RevisionNotFoundError

    options: dict[str, Any] = {"repo_type": kind, "allow_patterns": patterns, "cache_dir": cache}
    # LeRobot caches data sets under a folder of its own; the hub's other tools under theirs.
    for place in dict.fromkeys((cache, None)):
        for revision in revisions:
            try:
                folder = Path(snapshot_download(repo_id, revision=revision, local_files_only=True,
                                                **{**options, "cache_dir": place}))  # fmt: skip
            except LocalEntryNotFoundError:
                continue
            if all((folder / name).exists() for name in needed):
                return folder
    if not ask:
        raise HubError(f"{kind} {repo_id} is not cached")
    try:
        for revision in revisions:
            try:
                HfApi().repo_info(repo_id, revision=revision, repo_type=kind, timeout=ASK_SECONDS)
            except RevisionNotFoundError:
                if revision == revisions[-1]:
                    raise
                continue
            return Path(snapshot_download(repo_id, revision=revision, **options))
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        at = f" at revision {revisions[0]}" if len(revisions) == 1 and revisions[0] else ""
        raise HubError(
            f"the hub has no {kind} {repo_id}{at} that you may read (HTTP {status}); check the id"
        ) from error
    except Exception as error:  # no network: the client raises types of several libraries
        raise HubError(
            f"{kind} {repo_id} is not a folder here, not cached, and the hub cannot be reached ({type(error).__name__}); "
            "check the spelling, give a folder, or connect to the network once"
        ) from error
    raise AssertionError("unreachable")
