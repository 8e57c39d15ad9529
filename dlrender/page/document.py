"""A page as one file: escaped data, modules as an import map of `data:` URLs, and a policy that lets nothing else run.

The content security policy names every script of the page by its hash. A page so asks for nothing but itself, and text from
a cache stays text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from dlrender import shading
from dlrender.colors import get_colormap
from dlrender.errors import RenderError
from dlrender.overlays import world
from dlscore import __version__
from dlscore.common.arrays import Array
from dlscore.common.files import atomic_path
from dlscore.common.world import AGENT_RADIUS, BLOCK_OUTLINE, GOAL_POSE

WEB = files("dlrender.page") / "web"
MODULES = ("about", "colours", "controls", "data", "download", "draw", "episode", "field", "main", "marks", "panel", "readout",
           "regions", "state", "timeline", "view", "world")  # fmt: skip
VENDORED = {"d3-array": "vendor/d3-array.min.mjs", "d3-contour": "vendor/d3-contour.min.mjs"}
COLORMAPS = ("viridis", "magma", "inferno", "plasma", "cividis")  # perceptually uniform
RATIO = "RdBu_r"  # diverging, for a log ratio
TABLE = 256  # colours of a map, as matplotlib keeps these
GENERATOR = "dlrender page"
# uPlot asks at once for the formats of a language that need not exist.
GUARD = (
    "try{new Intl.NumberFormat(navigator.language)}"
    'catch{Object.defineProperty(navigator,"language",{value:"en",configurable:true})}'
)


def write_document(path: Path, page: Mapping[str, Any], title: str) -> Path:
    """Write a page with its data, under its name once it is whole."""
    scripts = [GUARD, _read("vendor/uPlot.iife.min.js")]
    imports = {f"page/{name}": _link(_read(f"{name}.js")) for name in MODULES}
    imports |= {name: _link(_read(place)) for name, place in VENDORED.items()}
    styles = [_read("vendor/uPlot.min.css"), _read("page.css")]
    data = {**page, **drawn_alike(), "colormaps": {name: _table(name) for name in (*COLORMAPS, RATIO)}, "ratio": RATIO}
    _write(path, "page.html", title, scripts, imports, 'import "page/main";', styles, data)
    return path


def drawn_alike() -> dict[str, Any]:
    """What the page draws as dlrender does: the shapes of the world with their colours, and how colours fade."""
    return {
        "shading": {"fade": shading.FADE, "whole_above": shading.WHOLE_ABOVE, "strength": shading.STRENGTH},
        "world": {
            "goal": GOAL_POSE.tolist(), "outline": BLOCK_OUTLINE.tolist(), "bars": world.BARS,
            "edge": world.EDGE, "walls": world.WALLS, "wall_half": world.HALF, "agent_radius": AGENT_RADIUS,
            "inner_radius": world.INNER_RADIUS,
            "colours": {"goal": world.GOAL, "block": world.BLOCK, "block_edge": world.BLOCK_EDGE, "agent": world.AGENT,
                        "agent_edge": world.AGENT_EDGE, "wall": world.WALL},
        },
    }  # fmt: skip


def write_index_document(path: Path, index: Mapping[str, Any], title: str) -> Path:
    """Write the index of a folder of pages."""
    imports = {f"page/{name}": _link(_read(f"{name}.js")) for name in ("index",)}
    _write(path, "index.html", title, [], imports, 'import "page/index";', [_read("page.css")], index)
    return path


def is_ours(path: Path) -> bool:
    """Whether a file is a page of dlrender, which another may replace."""
    try:
        with path.open(encoding="utf-8") as file:
            return f'<meta name="generator" content="{GENERATOR} ' in file.read(2000)
    except (OSError, UnicodeDecodeError):
        return False


def check_free(path: Path, option: str) -> None:
    """Raise RenderError where a file is there that is no page of dlrender's. option: which names it."""
    if path.exists() and not is_ours(path):
        raise RenderError(f"{path} exists and was not made by dlrender page; move it, or choose another {option}")


def to_json(value: object) -> str:
    """JSON that stands in a script element: no `<`, so neither `</script>` nor `<!--`."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    except ValueError as error:
        raise RenderError(f"a page cannot hold these numbers ({error}); compute the episode again") from error


def _write(
    path: Path,
    body: str,
    title: str,
    scripts: Sequence[str],
    imports: Mapping[str, str],
    start: str,
    styles: Sequence[str],
    data: Mapping[str, Any],
) -> None:
    importmap, style = json.dumps({"imports": imports}), "\n".join(styles)
    hashes = " ".join(map(_hash, (*scripts, importmap, start)))
    policy = (
        f"default-src 'none'; script-src {hashes} data:; style-src {_hash(style)}; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )
    with atomic_path(path, RenderError) as part, part.open("w", encoding="utf-8") as file:
        file.write(
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f'<meta name="generator" content="{GENERATOR} {__version__}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
            f"<title>{html.escape(title)}</title>\n<style>{style}</style>\n"
        )
        for script in scripts:
            file.write(f"<script>{script}</script>\n")
        file.write(f'<script type="importmap">{importmap}</script>\n</head>\n{_read(body)}\n')
        file.write('<script type="application/json" id="data">')
        file.write(to_json(data))
        file.write(f'</script>\n<script type="module">{start}</script>\n</body>\n</html>\n')


def _read(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def _link(source: str) -> str:
    return f"data:text/javascript;charset=utf-8;base64,{base64.b64encode(source.encode()).decode()}"


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _table(colormap: str) -> str:
    colours: Array = get_colormap(colormap)(range(TABLE), bytes=True)[:, :3]
    return base64.b64encode(colours.tobytes()).decode()
