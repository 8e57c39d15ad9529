"""Hub ids to local folders: what is cached is used at once, what is not is asked for once, with a short time limit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dlscore.common.errors import UserError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
ASK_SECONDS = 5.0  # how long the hub may take to say whether a repository exists


class HubError(UserError):
    """A hub id that is neither cached nor reachable."""


def is_hub_id(text: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return HUB_ID.fullmatch(text) is not None


def find_snapshot(
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
