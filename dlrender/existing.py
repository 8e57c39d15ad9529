"""Videos that are there already: which are up to date, which are drawn again, and which are not ours to overwrite.

A video says in its metadata of which run and in which style it was drawn. A file that says nothing of the kind was made by
somebody else, and is overwritten only with --force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrender.errors import RenderError
from dlrender.frames.notes import read_note
from dlrender.metadata import describe_render, note_of
from dlrender.output import Output, pick_methods, video_names
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache, open_cache

NEW, KEPT, AGAIN, OLDER, OTHER, FOREIGN = (
    "would be made",
    "is up to date: would be kept",
    "would be made again",
    "is older than the cache: would be made again",
    "was drawn with other options: would be made again",
    "was not made by dlrender: needs --force",
)
OURS = ("dlrender", "scoring_methods")  # in every note
# What a video of the environment without overlays does not depend on.
OF_HEATMAPS = ("title", "scoring_methods", "colormap", "norm", "range_nats", "vmin", "vmax", "gamma", "center", "overlays",
               "overlay", "fonts")  # fmt: skip
NOT_OF_VIDEOS = ("dpi", "width", "height", "policy", "dataset", "cache")  # whose paths are relative to where one works


def video_states(
    names: Mapping[str, Path], cache: EpisodeCache, methods: Sequence[str], style: Style, output: Output
) -> dict[str, str]:
    """The state of each video of an episode by panel, one of the sentences above."""
    note = note_of(
        cache, describe_render(cache, methods, style, list(names.values()), output, output.provenance), methods
    )
    return {panel: _state(panel, name, cache, note, style, output) for panel, name in names.items()}


def videos_to_draw(cache: EpisodeCache, methods: Sequence[str], style: Style, output: Output) -> dict[str, Path]:
    """The videos of an episode that are not up to date, by panel; RenderError if one is a file that dlrender did not make."""
    names = video_names(cache, methods, output)
    states = video_states(names, cache, methods, style, output)
    for panel, name in names.items():
        if states[panel] == FOREIGN:
            raise RenderError(f"{name} exists and was not made by dlrender; --force replaces it")
    return {panel: name for panel, name in names.items() if states[panel] != KEPT}


def check_existing(files: Sequence[Path], style: Style, output: Output) -> None:
    """Raise RenderError if any video of any file would replace one that dlrender did not make."""
    for file in files:
        with open_cache(file) as cache:
            videos_to_draw(cache, pick_methods(cache, output.methods), style, output)


def plan(files: Sequence[Path], style: Style, output: Output) -> Iterator[dict[str, Any]]:
    """What a render would do: {"path", "cache", "state"} of each video; the state completes the sentence "PATH …"."""
    for file in files:
        with open_cache(file) as cache:
            methods = pick_methods(cache, output.methods)
            names = video_names(cache, methods, output)
            states = video_states(names, cache, methods, style, output)
        for panel, name in names.items():
            yield {"path": str(name), "cache": str(file), "state": states[panel]}


def _state(panel: str, name: Path, cache: EpisodeCache, note: Mapping[str, Any], style: Style, output: Output) -> str:
    if not name.exists():
        return NEW
    if output.force:
        return AGAIN
    found = read_note(name)
    if not all(key in found for key in OURS):
        return FOREIGN
    if name.stat().st_mtime < Path(cache.path).stat().st_mtime:
        return OLDER
    ignored = {*NOT_OF_VIDEOS, *(OF_HEATMAPS if panel == "environment" and not style.drawn("environment") else ())}
    same = {key: value for key, value in found.items() if key not in ignored} == {
        key: value for key, value in note.items() if key not in ignored
    }
    # A global scale depends on the other files too, which no file knows.
    shared = style.norm == "global" and "norm" not in ignored
    return KEPT if same and not shared else OTHER
