"""Style files, and the options of the command line over them.

A style file is TOML: fields of `Style`, the tables [layout], [fonts], [rc], and one [overlay.NAME] for each overlay whose
looks it changes. What it leaves out is as in `default`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import tomlkit

from dlrender.errors import RenderError
from dlrender.overlays import OVERLAYS
from dlrender.style.check import check_style
from dlrender.style.fields import replaced
from dlrender.style.style import Style
from dlscore.common.choices import check_choice, check_known

BUNDLED = Path(__file__).parent
TABLES = ("layout", "fonts", "overlay", "rc")


def bundled() -> list[str]:
    """Names of the styles that come with dlrender."""
    return sorted(path.stem for path in BUNDLED.glob("*.toml"))


def load_style(name: str) -> Style:
    """The bundled style of that name, or the one in a TOML file; RenderError names what is wrong in it."""
    path = Path(name)
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
    style = from_table(table, f"style {name}", path.parent)
    try:
        check_style(style)
    except RenderError as error:  # which names options
        text = re.sub(r"--([a-z-]+)", lambda match: match[1].replace("-", "_"), str(error).removeprefix("style: "))
        raise RenderError(f"style {name}: {text}") from error
    return style


def from_table(table: Mapping[str, Any], where: str, folder: Path) -> Style:
    """A style from a table of TOML over the default one; sheets that are files in `folder` are found there."""
    known = [each.name for each in fields(Style)]
    for name, value in table.items():
        check_known("key", name, known, RenderError, where)
        if name in TABLES and not isinstance(value, dict):
            raise RenderError(f"{where}: {name} {value!r} is not allowed; make it a table, [{name}]")
    plain = {name: value for name, value in table.items() if name not in TABLES}
    style = replaced(Style(), plain, where)
    overlay = dict(style.overlay)
    for name, value in table.get("overlay", {}).items():
        check_known("overlay", name, OVERLAYS, RenderError, where)
        if not isinstance(value, dict):
            raise RenderError(f"{where}: overlay.{name} {value!r} is not allowed; make it a table, [overlay.{name}]")
        overlay[name] = replaced(overlay[name], value, f"{where}: overlay.{name}")
    return replace(
        style,
        layout=replaced(style.layout, table.get("layout", {}), f"{where}: layout"),
        fonts=replaced(style.fonts, table.get("fonts", {}), f"{where}: fonts"),
        overlay=overlay,
        rc=_flat(table.get("rc", {})),
        sheets=tuple(
            str((folder / sheet).resolve()) if (folder / sheet).is_file() else sheet for sheet in style.sheets
        ),
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    # TOML reads font.family = … as a table in a table.
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def with_options(
    style: Style,
    values: Mapping[str, Any],
    show: Mapping[str, bool | None],
    overlays: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Style:
    """The style with options over it.

    values: fields of Style, None for an option that was not given. show: overlays by name, and whether to draw them.
    overlays: texts `name` or `name:key=value,…`. without: names, or "all".
    """
    chosen = {**dict.fromkeys(style.overlays, True), **{name: on for name, on in show.items() if on is not None}}
    for name in without:
        if name != "all":
            check_choice("--no-overlay", name, OVERLAYS, RenderError)
        if show.get(name):
            raise RenderError(f"--no-overlay {name} and the option that shows it contradict each other; leave one out")
        chosen |= dict.fromkeys(OVERLAYS if name == "all" else [name], False)
    looks = dict(style.overlay)
    for text in overlays:
        name, given = parse_overlay(text)
        if name in without:
            raise RenderError(f"--overlay {name} and --no-overlay {name} contradict each other; leave one out")
        looks[name] = replaced(looks[name], given, f"--overlay {name}")
        chosen[name] = True
    given_values = {name: value for name, value in values.items() if value is not None}
    # What the style says of the ends of the colours gives way to an option that cannot be together with it.
    for option, others in (("center", ("vmin", "vmax")), ("vmin", ("center",)), ("vmax", ("center",))):
        if option in given_values:
            given_values = dict.fromkeys(others) | given_values
    if given_values.get("norm") == "rank":
        given_values = dict.fromkeys(("vmin", "vmax", "center")) | given_values
    style = replace(style, **given_values, overlay=looks, overlays=tuple(name for name in OVERLAYS if chosen.get(name)))
    check_style(style)
    return style


def parse_overlay(text: str) -> tuple[str, dict[str, str]]:
    """Name and texts of the parameters of `name:key=value,…`; RenderError if it is no such thing."""
    name, colon, rest = text.partition(":")
    check_choice("--overlay", name, OVERLAYS, RenderError)
    values: dict[str, str] = {}
    for item in rest.split(",") if colon else []:
        key, equals, value = item.partition("=")
        if not (key and equals and value) or key in values:
            raise RenderError(f"--overlay {text!r} is not understood at {item!r}; write name:key=value,key=value")
        values[key] = value
    return name, values


# ---- what there is ---------------------------------------------------------------------------------------------------


def describe_styles() -> dict[str, str]:
    """The bundled styles, and what each is for: the first line of its file."""
    return {name: (BUNDLED / f"{name}.toml").read_text().splitlines()[0].lstrip("# ") for name in bundled()}


def format_style(style: Style) -> str:
    """A style as a TOML file: the bundled default's, comments and all, with this style's values."""
    _, _, template = (BUNDLED / "default.toml").read_text(encoding="utf-8").partition("\n")
    document = tomlkit.parse("# A style of dlrender: every key, and what it is for.\n" + template)
    for name, value in asdict(style).items():
        if name in ("layout", "fonts"):
            _set(document[name], value)
        elif name == "overlay":
            for each, looks in value.items():
                _set(document["overlay"][each], looks)
        elif name == "rc":
            _set(document["rc"], value)
        elif value is not None:
            _set(document, {name: value})
    return tomlkit.dumps(document)


def _set(table: Any, values: Mapping[str, Any]) -> None:
    # Only what differs is written, so that comments and spacing stay.
    for name, value in values.items():
        value = list(value) if isinstance(value, tuple) else value
        if name not in table or table[name] != value:
            table[name] = value
