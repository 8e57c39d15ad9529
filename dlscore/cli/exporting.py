"""`dlscore export`: the tables are dlrender's. It is found by name when the command runs, since dlscore imports no consumer."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlscore.common import progress

__all__ = ["export_as_asked"]


def export_as_asked(
    places: Sequence[Path], folder: Path, method: str | None, licence: str, repo_id: str | None, private: bool
) -> dict[str, Any]:
    """What was written, and the hub's address where `repo_id` asks for an upload. UserError as `dlrender.answers.export`."""
    exporter = importlib.import_module("dlrender.answers.export")
    with progress.steps("export", "episodes") as report:
        name = repo_id or exporter.PLACE
        found = exporter.export(places, folder, method=method, licence=licence, name=name, report=report)
    told: dict[str, Any] = found.as_dict()
    if repo_id is not None:
        told["address"] = exporter.push(folder, repo_id, private=private)
    return told
