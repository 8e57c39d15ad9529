"""Pages of caches: one with all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrender.errors import RenderError
from dlrender.page.document import check_free, write_document
from dlrender.page.episode import group_files, read_episode
from dlrender.page.source import column_notes
from dlscore.common.progress import Report, no_report

SUFFIX = ".html"
Ends = dict[str, tuple[float, float]]  # of the colours over several files, by method


def write_page(
    files: Sequence[Path | str], out: Path | str, *, provenance: bool = True, report: Report = no_report
) -> Path:
    """Write one self-contained page of some caches; the path written.

    Caches of the same recorded episode are shown side by side, those of others in turn. provenance: False leaves out what
    tells who made it. report: called with (episodes done, episodes). RenderError for names and caches that make no page.
    """
    path = Path(out)
    check_page_name(path)
    check_free(path, "--output")
    groups = group_files([Path(file) for file in files])
    if not groups:
        raise RenderError("no caches were given; name one or more, such as data/cache/episode_000.h5")
    episodes: list[dict[str, Any]] = []
    for same in groups.values():
        report(len(episodes), len(groups))
        episodes.append(read_episode(same, provenance))
    report(len(episodes), len(groups))
    return write_episodes(path, episodes, ends_of(episodes))


def write_episodes(path: Path, episodes: Sequence[Mapping[str, Any]], ends: Ends, index: str = "") -> Path:
    """Write a page of episodes that were read. ends: of the norm `global`. index: a link to the index that the page is of."""
    page = {"episodes": episodes, "global": ends, "columns": column_notes(), "index": index}
    return write_document(path, page, title_of(episodes))


def ends_of(episodes: Sequence[Mapping[str, Any]]) -> Ends:
    """The ends of the colours of each method over all episodes and files."""
    found: Ends = {}
    for episode in episodes:
        for source in episode["sources"]:
            found[source["method"]] = wider(found.get(source["method"]), source["ends"]["episode"])
    return found


def wider(ends: tuple[float, float] | None, others: Sequence[float]) -> tuple[float, float]:
    """Both ranges in one."""
    low, high = others
    return (low, high) if ends is None else (min(ends[0], low), max(ends[1], high))


def title_of(episodes: Sequence[Mapping[str, Any]]) -> str:
    """Of the window: which episodes, and of what."""
    first = episodes[0]
    which = f"episode {first['episode']}" if len(episodes) == 1 else f"{len(episodes)} episodes"
    datasets = {each["dataset"] for each in episodes} - {""}
    return f"{which}{f' of {datasets.pop()}' if len(datasets) == 1 else ''} · dlscore"


def check_page_name(path: Path) -> None:
    """Raise RenderError for a name that is no page's."""
    if path.suffix != SUFFIX:
        raise RenderError(f"page {path} has no known format; end its name in {SUFFIX}")
