"""What a run would find and do: `dlscore compute --dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.common.errors import UserError
from dlscore.compute.run import Run
from dlscore.compute.settings import episode_path
from dlscore.compute.state import inspect_cache

__all__ = ["plan_episode", "plan_episodes"]


def plan_episode(run: Run, index: int, path: Path) -> dict[str, Any]:
    """What `compute_episode` would find and do: state, reason, steps, those done, evaluations per step."""
    episode = run.load(index)
    steps = run.settings.count_steps(len(episode))
    state = inspect_cache(path, run.identity(episode), run.score_attrs)
    done = steps if state.name == "current" else 0
    if state.name == "partial":
        with open_cache(part_path(path), partial=True) as cache:
            done = int(cache.done.sum())
    return {"episode": index, "path": str(path), "state": state.name, "reason": state.reason, "steps": steps,
            "steps_done": done, "evaluations_per_step": run.evaluations_per_step}  # fmt: skip


def plan_episodes(run: Run, indices: Sequence[int], folder: Path, force: bool = False) -> list[dict[str, Any]]:
    """`plan_episode` of each. One that cannot be planned has the state "failed" and the reason.

    With `force`, an existing cache has the state "forced": it is started over.
    """
    rows = []
    for index in indices:
        path = episode_path(folder, index)
        try:
            row = plan_episode(run, index, path)
            if force and row["state"] != "missing":
                row |= {"state": "forced", "reason": f"it is {row['state']}", "steps_done": 0}
            rows.append(row)
        except UserError as error:
            rows.append({"episode": index, "path": str(path), "state": "failed", "reason": str(error)})
    return rows
