"""The run behind the scores and the style, for the config file and for the metadata of videos and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.errors import RenderError
from dlrender.output import Output
from dlrender.style.style import Style
from dlscore import __version__
from dlscore.cache import EpisodeCache
from dlscore.common.files import atomic_path

RUN = ("episode", "policy", "policy_revision", "dataset", "dataset_revision", "seed", "key", "versions", "git_revision",
       "identity", "pose_source", "predicted_action_is", "created_at")  # fmt: skip
PLACES = ("policy", "dataset", "cache")  # that may be paths
# What tells who made a picture, where and when.
PROVENANCE = (*PLACES, "policy_revision", "dataset_revision", "versions", "git_revision", "identity", "created_at")


def describe_render(
    cache: EpisodeCache,
    methods: Sequence[str],
    style: Style,
    names: Sequence[Path],
    output: Output | None = None,
    provenance: bool = True,
) -> dict[str, Any]:
    """The run behind the scores, the style and the options, as values that JSON can express.

    Paths are relative to the working directory, or names alone. provenance: False leaves out what would tell a reviewer who
    made the picture: paths, names, revisions, versions and dates.
    """
    run: dict[str, Any] = {name: cache.attrs[name] for name in RUN if name in cache.attrs}
    run |= {"largest_drift": cache.largest_drift(), "cache": str(cache.path), "steps": cache.steps}
    run |= {"resolution": cache.grid.resolution}
    run |= {name: relative(str(run[name])) for name in PLACES if name in run}
    options = {} if output is None else {"fps": output.fps, "format": output.format, "pix_fmt": output.pix_fmt}
    look = {**_plain(asdict(style)), "sheets": [relative(sheet) for sheet in style.sheets]}
    if not provenance:
        run = {name: value for name, value in run.items() if name not in PROVENANCE}
        look["sheets"] = [Path(sheet).name for sheet in style.sheets]
    return {
        "run": run,
        "scores": {method: cache.score_attrs(method) for method in methods},
        "style": {**look, **options, "scoring_methods": list(methods), "dlrender": __version__},
        "files": [name.name for name in names],
    }


def relative(place: str) -> str:
    """A path relative to the working directory, or its name if it is elsewhere; a hub id or a relative path as it is."""
    path = Path(place)
    if not path.is_absolute():
        return place
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def note_of(cache: EpisodeCache, described: Mapping[str, Any], methods: Sequence[str]) -> dict[str, Any]:
    """The metadata of a video: its title, the run and the style, as JSON gives them back."""
    title = f"episode {cache.episode}, {', '.join(methods)}"
    note: dict[str, Any] = json.loads(json.dumps({"title": title, **described["run"], **described["style"]}))
    return note


def write_config(path: Path, described: dict[str, Any], methods: Sequence[str]) -> None:
    """Add a render of these methods to the episode's JSON; renders of another run are dropped."""
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


def _plain(value: Any) -> Any:
    # Overlays from outside may have fields that JSON cannot express.
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}"
    return value if isinstance(value, str | int | float | None) else repr(value)
