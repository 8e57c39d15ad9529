"""Style files: TOML with fields of `Style`.

The tables are [layout], [fonts], [rc], and one [overlay.NAME] for each overlay whose parameters change. A field that the
file does not set has the value of the style `default`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomlkit

from dlrender.errors import RenderError
from dlrender.overlays import known_overlays
from dlrender.style.change import change_style, spell
from dlrender.style.check import check_style
from dlrender.style.style import Style
from dlscore.common.choices import check_choice

BUNDLED = Path(__file__).parent


def bundled() -> list[str]:
    """Names of the styles that come with dlrender."""
    return sorted(path.stem for path in BUNDLED.glob("*.toml"))


def load_style(name: str | Path) -> Style:
    """The bundled style of that name, or the style in a TOML file; RenderError names what is wrong in it."""
    name, path = str(name), Path(name)
    if name in bundled():
        path = BUNDLED / f"{name}.toml"
    elif not path.is_file():
        check_choice("--style", name, bundled(), RenderError)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RenderError(f"style {name} is not TOML ({error}); mend it there") from error
    except OSError as error:
        raise RenderError(f"style {name} cannot be read ({error.strerror}); choose another") from error
    style = change_style(Style(), table, f"style {name}", path.parent)
    try:
        check_style(style)
    except RenderError as error:
        raise RenderError(f"style {name}: {spell(str(error).removeprefix('style: '))}") from error
    return style


def describe_styles() -> dict[str, str]:
    """The bundled styles and the purpose of each: the first line of its file."""
    return {name: (BUNDLED / f"{name}.toml").read_text().splitlines()[0].lstrip("# ") for name in bundled()}


def format_style(style: Style) -> str:
    """A style as a TOML file: the comments of the bundled default with the values of this style."""
    _, _, template = (BUNDLED / "default.toml").read_text(encoding="utf-8").partition("\n")
    document = tomlkit.parse("# A style of dlrender: every key, and what it is for.\n" + template)
    known = known_overlays()
    for name, value in asdict(style).items():
        if name in ("layout", "fonts"):
            _set(document[name], value)
        elif name == "overlay":
            for each, parameters in value.items():
                if each not in known:
                    raise RenderError(
                        f"overlay {each} of with_overlays cannot be in a style file; make it an entry point in the group "
                        "dlrender.overlays"
                    )
                _set(_overlay_table(document["overlay"], each, known[each]), parameters)
        elif name == "rc":
            _set(document["rc"], value)
        elif value is not None:
            _set(document, {name: value})
    return tomlkit.dumps(document)


def _overlay_table(tables: Any, name: str, kind: type) -> Any:
    # An overlay that default.toml does not describe gets a section with the first line of its docstring.
    if name not in tables:
        tables[name] = tomlkit.table().comment((kind.__doc__ or name).strip().splitlines()[0])
    return tables[name]


def _set(table: Any, values: Mapping[str, Any]) -> None:
    # Only values that differ are written, so that comments and spacing stay.
    for name, value in values.items():
        value = list(value) if isinstance(value, tuple) else value
        if name not in table or table[name] != value:
            table[name] = value
