"""Hub ids to local folders: a cached snapshot is used without network access; for others the hub is asked once, briefly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlscore.common.errors import UserError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ASK_SECONDS = 5.0  # how long the hub may take to say whether a repository exists


class HubError(UserError):
    """A hub id that is neither cached nor reachable."""


@dataclass(frozen=True)
class Repository:
    """What to look for on the hub: `kind` is "model" or "dataset".

    revisions: tried in this order, None for the default branch. patterns: the files to fetch, None for all. needed: files
    and folders without which a cached snapshot is incomplete. cache: a folder to look into before the hub's own.
    """

    repo_id: str
    kind: str
    revisions: Sequence[str | None] = (None,)
    patterns: Sequence[str] | None = None
    needed: Sequence[str] = ()
    cache: Path | None = None


def is_hub_id(text: str) -> bool:
    """Whether a text is a hub id of the form owner/name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return HUB_ID.fullmatch(text) is not None


def find_snapshot(repository: Repository, *, ask: bool = True) -> Path:
    """The folder of a snapshot: a complete cached one, or else, with `ask`, the hub's. HubError if there is none."""
    if (cached := _find_cached(repository)) is not None:
        return cached
    if not ask:
        raise HubError(f"{repository.kind} {repository.repo_id} is not cached")
    from huggingface_hub.errors import HfHubHTTPError

    name = f"{repository.kind} {repository.repo_id}"
    try:
        return _fetch(repository)
    except PermissionError as error:
        variable = "HF_LEROBOT_HOME or HF_HOME" if repository.kind == "dataset" else "HF_HOME"
        raise HubError(
            f"{name} cannot be saved in {error.filename} ({error.strerror}); set {variable} to a folder that can be written"
        ) from error
    except HfHubHTTPError as error:
        status, revisions = getattr(error.response, "status_code", None), repository.revisions
        at = f" at revision {revisions[0]}" if len(revisions) == 1 and revisions[0] else ""
        raise HubError(f"the hub has no {name}{at} that you may read (HTTP {status}); check the id") from error
    except Exception as error:  # no network: the client raises types of several libraries
        raise HubError(
            f"{name} is not a folder here, not cached, and the hub cannot be reached ({type(error).__name__}); "
            "check the spelling, give a folder, or connect to the network once"
        ) from error


def _find_cached(repository: Repository) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    # LeRobot caches data sets in a folder of its own; the hub's other tools use theirs.
    for place in dict.fromkeys((repository.cache, None)):
        for revision in repository.revisions:
            try:
                found = snapshot_download(repository.repo_id, revision=revision, local_files_only=True, cache_dir=place,
                                          **_options(repository))  # fmt: skip
            except LocalEntryNotFoundError:
                continue
            if all((Path(found) / name).exists() for name in repository.needed):
                return Path(found)
    return None


def _fetch(repository: Repository) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import RevisionNotFoundError

    for revision in repository.revisions:
        try:
            HfApi().repo_info(repository.repo_id, revision=revision, repo_type=repository.kind, timeout=ASK_SECONDS)
        except RevisionNotFoundError:
            if revision == repository.revisions[-1]:
                raise
            continue
        break
    options = {"cache_dir": repository.cache, **_options(repository)}
    return Path(snapshot_download(repository.repo_id, revision=revision, **options))


def _options(repository: Repository) -> dict[str, Any]:
    patterns = None if repository.patterns is None else list(repository.patterns)
    return {"repo_type": repository.kind, "allow_patterns": patterns}
