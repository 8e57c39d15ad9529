"""`dlscore export`: the tables are dlrender's. It is found by name when the command runs, since dlscore imports no consumer."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlscore.cli import report as tell
from dlscore.common import progress

__all__ = ["export_as_asked", "format_export"]


def export_as_asked(
    places: Sequence[Path], folder: Path, method: str | None, licence: str, repo_id: str | None, private: bool
) -> dict[str, Any]:
    """What was written, and the hub's address where `repo_id` asks for an upload; a note where the licence is not named.

    UserError as `dlrender.answers.export`.
    """
    exporter = importlib.import_module("dlrender.answers.export")
    with progress.steps("export", "episodes") as report:
        name = repo_id or exporter.PLACE
        found = exporter.export(places, folder, method=method, licence=licence, name=name, report=report)
    told: dict[str, Any] = found.as_dict()
    if repo_id is not None:
        told["address"] = exporter.push(folder, repo_id, private=private)
    if licence == "unknown":
        tell.note("the card says that the licence is unknown; name one with --license")
    return told


def format_export(found: dict[str, Any]) -> str:
    """What was written, as a line, and the hub's address as another."""
    told = f"{found['folder']}: {found['steps']} steps of {found['episodes']} episodes"
    return "\n".join([told, *([found["address"]] if "address" in found else [])])
