"""Who made the scores and how they are drawn, for the config file and for what a picture says of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlrender.errors import RenderError
from dlrender.output import Output
from dlrender.style.style import Style
from dlscore import __version__
from dlscore.cache.reader import EpisodeCache
from dlscore.common.files import atomic_path


def describe_render(
    episode: EpisodeCache, methods: Sequence[str], style: Style, names: Sequence[Path], output: Output | None = None
) -> dict[str, Any]:
    """Who made the scores and how they are drawn, for the config, and for what a video or a still says of itself."""
    run: dict[str, Any] = {
        name: episode.attrs[name]
        for name in ("episode", "policy", "policy_revision", "dataset", "dataset_revision", "seed", "key", "versions",
                     "git_revision", "identity", "pose_source", "predicted_action_is", "created_at")
        if name in episode.attrs
    }  # fmt: skip
    run["largest_drift"] = episode.largest_drift()
    options = {} if output is None else {"fps": output.fps, "format": output.format, "pix_fmt": output.pix_fmt}
    return {
        "run": {**run, "cache": str(episode.path), "steps": episode.steps, "resolution": episode.grid.resolution},
        "scores": {method: episode.score_attrs(method) for method in methods},
        "style": {**asdict(style), **options, "scoring_methods": list(methods), "dlrender": __version__},
        "files": [name.name for name in names],
    }


def write_config(path: Path, described: dict[str, Any], methods: Sequence[str]) -> None:
    """Add these methods' picture to the episode's JSON; those of another run are not kept beside it."""
    renders = {}
    if path.is_file():
        try:
            before = json.loads(path.read_text())
            if before["run"].get("key") == described["run"].get("key"):
                renders = before["renders"]
        except (ValueError, KeyError, TypeError, AttributeError):
            renders = {}
    renders["+".join(methods)] = {name: described[name] for name in ("scores", "style", "files")}
    with atomic_path(path, RenderError) as part:
        part.write_text(json.dumps({"run": described["run"], "renders": renders}, indent=2, sort_keys=True) + "\n")
