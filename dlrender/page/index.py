"""A folder of pages, one an episode, and an index of them: where to look first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.distinct import Key
from dlrender.answers.points import only_taken
from dlrender.answers.table import workers
from dlrender.errors import RenderError
from dlrender.page.document import check_free, write_index_document
from dlrender.page.episode import group_files, read_episode
from dlrender.page.pack import unpack
from dlrender.page.source import read_scale
from dlrender.page.write import Ends, wider, write_episodes
from dlscore.cache import open_cache
from dlscore.common.arrays import Array
from dlscore.common.progress import Report, no_report

INDEX = "index.html"
POINTS = 120  # of a sparkline, at most


def write_index(
    files: Sequence[Path | str],
    folder: Path | str,
    *,
    provenance: bool = True,
    jobs: int = 1,
    report: Report = no_report,
) -> list[Path]:
    """Write a page for each episode of some caches, and `index.html`; the paths written, the index first.

    jobs: so many processes make them. report: called with (episodes done, episodes). RenderError for a folder that holds
    files of these names which dlrender did not make.
    """
    if jobs < 1:
        raise RenderError(f"--jobs {jobs} is not allowed; choose 1 or more")
    place, groups = Path(folder), group_files([Path(file) for file in files])
    if not groups:
        raise RenderError("no caches were given; name one or more, such as data/cache/episode_000.h5")
    pages = [place / name for name in page_names(list(groups))]
    _check_free(place, [place / INDEX, *pages])
    rows: list[dict[str, Any]] = []
    report(0, len(groups))
    with workers(min(jobs, len(groups))) as run:
        ends: Ends = {}
        for found in run(read_ends, [file for same in groups.values() for file in same]):
            ends |= {method: wider(ends.get(method), each) for method, each in found.items()}
        for row in run(partial(_write_one, ends=ends, provenance=provenance), zip(pages, groups.values(), strict=True)):
            rows.append(row)
            report(len(rows), len(groups))
    title = f"{len(rows)} episode{'s' * (len(rows) > 1)} · dlscore"
    return [write_index_document(place / INDEX, {"rows": rows, "title": title}, title), *pages]


def page_names(keys: Sequence[Key]) -> list[str]:
    """A name for each episode: with a number where several data sets have one of that index."""
    found: list[str] = []
    for k, (_, episode) in enumerate(keys):
        same = sum(other == episode for _, other in keys[:k])
        found.append(f"episode_{episode:03}{f'_{same + 1}' if same else ''}.html")
    return found


def read_ends(file: Path) -> Ends:
    """The ends of the colours of each method of a cache."""
    with open_cache(file) as cache:
        return {method: read_scale(cache, method).ends for method in cache.methods}


def summary_of(episode: Mapping[str, Any]) -> dict[str, Any]:
    """What the index says of an episode: numbers of the step table of its first method, None where there is none."""
    table = episode["sources"][0]["table"]
    columns = dict(zip(table["names"], unpack(table["values"]), strict=True))
    surprise = columns.get("surprise")
    if surprise is not None:
        surprise = only_taken(surprise, surprise)
        surprise = None if np.isnan(surprise).all() else surprise
    worst = None if surprise is None else int(np.nanargmax(surprise))
    success = columns.get("episode_success", columns.get("success"))
    return {
        "episode": episode["episode"],
        "dataset": episode["dataset"],
        "policy": episode["files"][0]["name"],
        "steps": episode["steps"],
        "worst": None if worst is None or surprise is None else round(float(surprise[worst]), 2),
        "at": None if worst is None else int(columns["step"][worst]),
        "surprise": _mean(surprise),
        "entropy": _mean(columns.get("entropy")),
        "success": None if success is None or np.isnan(success).all() else int(np.nanmax(success)),
        "drift": _largest(columns.get("drift_agent"), columns.get("drift_block")),
        "curve": None if surprise is None else thinned(surprise),
    }


def thinned(values: Array) -> list[float]:
    """At most POINTS of a curve, the largest of each part, so that no peak is lost; parts without a value are left out."""
    parts = np.array_split(values, min(POINTS, len(values)))
    return [round(float(np.nanmax(each)), 2) for each in parts if not np.isnan(each).all()]


def _write_one(job: tuple[Path, list[Path]], ends: Ends, provenance: bool) -> dict[str, Any]:
    path, files = job
    episode = read_episode(files, provenance)
    write_episodes(path, [episode], ends, INDEX)
    return {"page": path.name, **summary_of(episode)}


def _mean(values: Array | None) -> float | None:
    return None if values is None or np.isnan(values).all() else round(float(np.nanmean(values)), 3)


def _largest(*columns: Array | None) -> float | None:
    known = [float(np.nanmax(each)) for each in columns if each is not None and not np.isnan(each).all()]
    return round(max(known), 2) if known else None


def _check_free(folder: Path, paths: Sequence[Path]) -> None:
    if folder.exists() and not folder.is_dir():
        raise RenderError(f"--index {folder} is a file; name a folder")
    for path in paths:
        check_free(path, "--index")
