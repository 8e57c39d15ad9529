"""What a shell offers after an option of `dlrender`: names that start with what was typed. Imports wait until it asks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

METHODS = ("likelihood", "distance", "noise_pred")


def styles(incomplete: str) -> list[str]:
    """Bundled styles, and TOML files."""
    from dlrender.style.toml import bundled

    folder = Path(incomplete).parent if "/" in incomplete else Path()
    return _starting([*bundled(), *map(str, folder.glob("*.toml"))], incomplete)


def overlays(incomplete: str) -> list[str]:
    """All overlays, also those of other packages."""
    from dlrender.overlays import known_overlays

    return _starting(known_overlays(), incomplete)


def colormaps(incomplete: str) -> list[str]:
    """Colormaps of matplotlib and of the installed packages."""
    from dlrender.colors import known_colormaps

    return _starting(known_colormaps(), incomplete)


def norms(incomplete: str) -> list[str]:
    """The scales of the colours."""
    from dlrender.colors import NORMS

    return _starting(NORMS, incomplete)


def windows(incomplete: str) -> list[str]:
    """The windows that have a name."""
    from dlrender.window import KINDS

    return _starting(KINDS, incomplete)


def heats(incomplete: str) -> list[str]:
    """Where the colours of the scores may be."""
    from dlrender.shading import HEATS

    return _starting(HEATS, incomplete)


def videos(incomplete: str) -> list[str]:
    """The videos of an episode."""
    from dlrender.output import VIDEOS

    return _listed(VIDEOS, incomplete)


def formats(incomplete: str) -> list[str]:
    """The formats of videos."""
    from dlrender.frames.encode import KINDS

    return _starting(KINDS, incomplete)


def methods(ctx: Any, incomplete: str) -> list[str]:
    """The methods in the cache on the command line, or those of dlscore if there is none yet."""
    from dlscore.cache import open_cache

    # A line that is not complete leaves its files among the arguments that belong to no option.
    given = [*ctx.args, *(ctx.params.get("files") or ()), ctx.params.get("file")]
    try:
        with open_cache(Path(given[0])) as cache:
            return _listed(cache.methods, incomplete)
    except Exception:  # whatever is wrong with the file is said when the command runs
        return _listed(METHODS, incomplete)


def _starting(names: Iterable[str], text: str) -> list[str]:
    return [name for name in names if name.startswith(text)]


def _listed(names: Iterable[str], text: str) -> list[str]:
    # The last of several names with commas between.
    before, comma, last = text.rpartition(",")
    return [before + comma + name for name in _starting(names, last)]
