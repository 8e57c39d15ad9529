"""Hub ids to local folders: what is cached is used at once, what is not is asked for once, with a short time limit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dlscore.errors import UserError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ASK_SECONDS = 5.0  # how long the hub may take to say whether a repository exists


class HubError(UserError):
    """A hub id that is neither cached nor reachable."""


def policy_folder(path_or_id: str, revision: str | None = None) -> tuple[Path, str]:
    """(folder, resolved revision) of a checkpoint: a folder as it is, or a hub id from the cache or the hub."""
    folder = Path(path_or_id)
    if folder.exists():
        if not (folder / "config.json").is_file():
            raise HubError(f"policy folder {folder} has no config.json; give the folder that save_pretrained wrote")
        return folder, "local"
    if not HUB_ID.fullmatch(path_or_id):
        raise HubError(f"policy {path_or_id} is neither a folder nor a hub id such as lerobot/diffusion_pusht")
    found = _snapshot(path_or_id, revision, "model", ["*.json", "*.safetensors"], "config.json")
    return found, found.name


def dataset_folder(repo_id: str, revision: str | None = None) -> tuple[Path, str]:
    """(folder, resolved revision) of a LeRobotDataset on the hub, or of its copy under HF_LEROBOT_HOME."""
    from lerobot.utils.constants import HF_LEROBOT_HOME, HF_LEROBOT_HUB_CACHE

    local = Path(HF_LEROBOT_HOME) / repo_id
    if revision is None and (local / "meta" / "info.json").is_file():
        return local, "local"
    if not HUB_ID.fullmatch(repo_id):
        raise HubError(f"data set {repo_id} is no hub id such as lerobot/pusht; for a folder use --dataset-root")
    found = _snapshot(repo_id, revision, "dataset", None, "meta/info.json", cache=Path(HF_LEROBOT_HUB_CACHE))
    return found, found.name


def _snapshot(
    repo_id: str, revision: str | None, kind: str, patterns: list[str] | None, needed: str, cache: Path | None = None
) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    options: dict[str, Any] = {"revision": revision, "repo_type": kind, "allow_patterns": patterns, "cache_dir": cache}
    try:
        folder = Path(snapshot_download(repo_id, local_files_only=True, **options))
        if (folder / needed).is_file():
            return folder
    except LocalEntryNotFoundError:
        pass
    try:
        HfApi().repo_info(repo_id, revision=revision, repo_type=kind, timeout=ASK_SECONDS)
        return Path(snapshot_download(repo_id, **options))
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        at = f" at revision {revision}" if revision else ""
        raise HubError(
            f"the hub has no {kind} {repo_id}{at} that you may read (HTTP {status}); check the id"
        ) from error
    except Exception as error:  # no network: the client raises types of several libraries
        raise HubError(
            f"{kind} {repo_id} is not a folder here, not cached, and the hub cannot be reached ({type(error).__name__}); "
            "check the spelling, give a folder, or connect to the network once"
        ) from error
