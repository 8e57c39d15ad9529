"""Caches as a data set for the Hugging Face hub: the step table and an episode table as parquet, with a dataset card.

`datasets.load_dataset(folder)` reads it, and the hub's viewer shows it. Nothing is uploaded unless `push` is called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.card import dataset_card
from dlrender.answers.columns import COLUMNS
from dlrender.answers.intervals import mean_known
from dlrender.answers.points import NATS, only_taken
from dlrender.answers.summary import episodes_of, summaries
from dlrender.answers.table import Table, caches_in, check_table_name, read_tables, write_table
from dlrender.errors import RenderError
from dlscore.cache import open_cache
from dlscore.common.files import atomic_path
from dlscore.common.progress import Report, no_report

__all__ = ["Export", "episode_table", "export", "push"]

STEPS, EPISODES = "data/steps.parquet", "data/episodes.parquet"
TABLES = {"steps": STEPS, "episodes": EPISODES}
CARD = "README.md"
PLACE = "path/to/export"
NOTE = "dlscore.json"  # how the tables were made; a folder without it is not replaced
SHARED = ("policy", "dataset", "executed_by", "method", "density", "seed", "episode")
MADE = ("policy", "policy_revision", "dataset", "dataset_revision", "executed_by", "every", "episode_length",
        "episode_success", "episode_best_reward", "schema_version", "key", "versions",
        "git_revision")  # fmt: skip


@dataclass(frozen=True)
class Export:
    """A written folder: the steps and episodes in its tables."""

    folder: Path
    steps: int
    episodes: int
    made: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"folder": str(self.folder), "steps": self.steps, "episodes": self.episodes}


def export(
    places: Sequence[Path],
    folder: Path,
    *,
    method: str | None = None,
    licence: str = "unknown",
    name: str = PLACE,
    title: str = "PushT under a diffusion policy, step by step",
    report: Report = no_report,
) -> Export:
    """Write the tables of some caches, or folders of them, with a dataset card to `folder`, which an earlier export may hold.

    licence: one of the hub's identifiers, such as mit or cc-by-4.0. name: what the card tells to load. Raises RenderError for
    caches without a density, for a folder that holds anything else, also beside an export, and without pyarrow.
    """
    check_table_name(Path(STEPS))
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence):
        raise RenderError(
            f"--license {licence!r} is no identifier of the hub; write such as mit, apache-2.0 or cc-by-4.0"
        )
    _check_folder(folder)
    files = caches_in(places)
    steps = read_tables(files, method, report=report)
    made = [_how(file) for file in files]
    episodes = episode_table(steps)
    with atomic_path(folder, RenderError) as part:
        (part / "data").mkdir(parents=True)
        write_table(steps, part / STEPS)
        write_table(episodes, part / EPISODES)
        (part / NOTE).write_text(json.dumps({"caches": made}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        card = dataset_card(title, licence, COLUMNS, summaries(steps), made, TABLES, name)
        (part / CARD).write_text(card, encoding="utf-8")
    return Export(folder, len(steps["step"]), len(episodes["episode"]), made)


def episode_table(steps: Table) -> Table:
    """One row for each episode of a step table: what was scored, means over its scored steps, and how the whole of it ended."""
    rows = episodes_of(steps)
    found = {name: np.array([steps[name][each[0]] for each in rows]) for name in SHARED}
    found["steps"] = np.array([len(each) for each in rows])
    for name in ("surprise", "entropy", "excess", "rank", "error"):
        values = only_taken(steps[name], steps["surprise"]) if name in NATS else steps[name]
        found[f"mean_{name}"] = np.array([mean_known(values[each]) for each in rows])
    return found | {
        name: np.array([steps[f"episode_{name}"][each[0]] for each in rows]) for name in ("reward", "success")
    }


def push(folder: Path, repo_id: str, *, private: bool = True) -> str:
    """Upload an exported folder to the hub's data set `repo_id`, made if it is not there; its address.

    Raises RenderError without huggingface_hub, and for whatever the hub refuses.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise RenderError("--push-to-hub needs huggingface_hub; pip install huggingface_hub") from error
    api = HfApi()
    try:
        api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repo_id, repo_type="dataset")
    except Exception as error:  # of the hub, the network, and of names that the hub does not allow
        text = " ".join(str(error).split())[:300]
        raise RenderError(
            f"{folder} is written, but {repo_id} cannot be uploaded ({type(error).__name__}: {text})"
        ) from error
    return f"https://huggingface.co/datasets/{repo_id}"


def _check_folder(folder: Path) -> None:
    # It is replaced as a whole, so it may hold nothing but an export.
    if not folder.exists():
        return
    if not (folder / NOTE).is_file():
        raise RenderError(f"{folder} exists and is no export; choose another -o")
    found = {each.relative_to(folder).as_posix() for each in folder.rglob("*")}
    if others := sorted(found - {STEPS, EPISODES, NOTE, CARD, "data"}):
        raise RenderError(f"{folder} holds {others[0]}, which is of no export; move it, or choose another -o")


def _how(file: Path) -> dict[str, Any]:
    # How a cache was made, without times, so that the same caches give the same files.
    with open_cache(file) as cache:
        known = {name: cache.attrs[name] for name in MADE if name in cache.attrs}
        methods = {name: cache.score_attrs(name)["parameters"] for name in cache.methods}
        return {"file": file.name, "episode": cache.episode, "methods": methods, **known}
