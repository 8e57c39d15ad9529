"""`dlscore status`: what caches lie in folders, as a table; nothing is loaded but their headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlscore.cache import read_episode
from dlscore.schema import CacheError

NAME = re.compile(r"episode_(\d+)\.h5(\.part)?")


def read_status(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each cache and each part beside it: folder, episode, state, steps done, steps, methods, bytes, note.

    States: "finished"; "partial", with `locked` where a run has it in hand or died over it; "damaged", with the reason.
    CacheError for what is no folder.
    """
    rows = []
    for folder in folders:
        if not folder.is_dir():
            raise CacheError(f"{folder} is no folder; give one of caches, which dlscore compute makes")
        for path in sorted(folder.iterdir()):
            if match := NAME.fullmatch(path.name):
                with suppress(FileNotFoundError):  # a part that was finished since the folder was read
                    rows.append({"folder": str(folder), "episode": int(match[1]), **_describe(path)})
    return rows


def _describe(path: Path) -> dict[str, Any]:
    finished = path.suffix == ".h5"
    lock = path.with_name(path.name.removesuffix(".part") + ".lock")
    row = {"state": "finished" if finished else "partial", "locked": not finished and lock.exists()}
    try:
        with read_episode(path, partial=not finished) as cache:
            return {**row, "steps_done": int(cache.done.sum()), "steps": cache.steps, "methods": list(cache.methods),
                    "bytes": path.stat().st_size, "note": ""}  # fmt: skip
    except CacheError as error:
        return {**row, "state": "damaged", "steps_done": 0, "steps": 0, "methods": [], "bytes": path.stat().st_size,
                "note": str(error)}  # fmt: skip


def format_status(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, and how many there are of each state."""
    header = ("folder", "episode", "state", "steps", "methods", "MB")
    lines = [
        (row["folder"], str(row["episode"]), row["state"] + (" (locked)" if row["locked"] else ""),
         f"{row['steps_done']}/{row['steps']}", " ".join(row["methods"]) or row["note"], f"{row['bytes'] / 1e6:.2f}")
        for row in rows
    ]  # fmt: skip
    widths = [max(len(line[k]) for line in (header, *lines)) for k in range(len(header))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
             for line in (header, *lines)]  # fmt: skip
    states = {state: sum(row["state"] == state for row in rows) for state in ("finished", "partial", "damaged")}
    table.append(", ".join(f"{count} {state}" for state, count in states.items()))
    return "\n".join(table)
