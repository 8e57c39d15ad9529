"""Changes to a style: by a table of TOML, by keyword arguments, or by options of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dlrender.errors import RenderError
from dlrender.overlays import Overlay, known_overlays
from dlrender.style.check import check_style
from dlrender.style.fields import replaced
from dlrender.style.style import Fonts, Layout, Style
from dlscore.common.choices import check_choice, check_known

TABLES: dict[str, Any] = {"layout": Layout, "fonts": Fonts, "overlay": Mapping, "rc": Mapping}
# Options whose Python parameter has another name.
PARAMETERS = {"force": "force=True"}


def change_style(style: Style, changes: Mapping[str, Any], where: str, folder: Path | None = None) -> Style:
    """The style with fields of `Style` set from a table of TOML or from Python values; not yet checked as a whole.

    where: names the source of the changes in messages. folder: style sheets that are files are looked up there.
    """
    known = [each.name for each in fields(Style)]
    for name, value in changes.items():
        check_known("key", name, known, RenderError, where)
        if name in TABLES and not isinstance(value, (Mapping, TABLES[name])):
            raise RenderError(
                f"{where}: {name} {value!r} is not allowed; make it a table, [{name}], or in Python a dict"
            )
    style = replaced(style, {name: value for name, value in changes.items() if name not in TABLES}, where)
    parts = {name: changes[name] for name in ("layout", "fonts") if name in changes}
    for name, value in parts.items():
        if isinstance(value, Mapping):
            parts[name] = replaced(getattr(style, name), value, f"{where}: {name}")
    if "overlay" in changes:
        parts["overlay"] = _change_overlays(style, changes["overlay"], where)
    if "rc" in changes:
        parts["rc"] = {**style.rc, **_flat(changes["rc"])}
    if folder is not None:
        parts["sheets"] = tuple(
            str((folder / sheet).resolve()) if (folder / sheet).is_file() else sheet for sheet in style.sheets
        )
    return replace(style, **parts)


def _change_overlays(style: Style, changes: Mapping[str, Any], where: str) -> dict[str, Overlay]:
    overlay = dict(style.overlay)
    for name, value in changes.items():
        check_known("overlay", name, style.order, RenderError, where)
        if isinstance(value, Mapping):
            overlay[name] = replaced(overlay[name], value, f"{where}: overlay.{name}")
        elif isinstance(value, Overlay):
            overlay[name] = value
        else:
            raise RenderError(
                f"{where}: overlay.{name} {value!r} is not allowed; make it a table, [overlay.{name}], or in Python a dict"
            )
    return overlay


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    # TOML reads font.family = … as a table in a table.
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def make_room(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, and None for fields of a style that contradict them: the ends and the centre of the colour scale."""
    made = dict(changes)
    for option, others in (("center", ("vmin", "vmax")), ("vmin", ("center",)), ("vmax", ("center",))):
        if changes.get(option) is not None:
            made = dict.fromkeys(others) | made
    if changes.get("norm") == "rank":
        made = dict.fromkeys(("vmin", "vmax", "center")) | made
    return made


@contextmanager
def python_spelling(methods: str = "methods") -> Iterator[None]:
    """Within this context, a RenderError names parameters as Python does (`range_nats`), not options (`--range-nats`).

    methods: the name of the parameter for --scoring-method.
    """
    try:
        yield
    except RenderError as error:
        raise RenderError(spell(str(error).replace("--scoring-method", methods))) from None


def spell(text: str) -> str:
    """A message with the options in it spelled as parameters of Python and keys of style files."""
    return re.sub(r"--([a-z][a-z-]*)", lambda match: PARAMETERS.get(match[1], match[1].replace("-", "_")), text)


def with_options(
    style: Style,
    values: Mapping[str, Any],
    show: Mapping[str, bool | None],
    overlays: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Style:
    """The style, changed by options of the command line.

    values: fields of Style, None for an option that was not given. show: by overlay name, whether its switch was set.
    overlays: texts `name` or `name:key=value,…`. without: names, or "all".
    """
    chosen = {**dict.fromkeys(style.overlays, True), **{name: on for name, on in show.items() if on is not None}}
    for name in without:
        if name != "all":
            check_choice("--no-overlay", name, style.order, RenderError)
        if show.get(name):
            raise RenderError(
                f"--no-overlay {name} and the option that shows it contradict each other; leave out one of them"
            )
        chosen |= dict.fromkeys(style.order if name == "all" else [name], False)
    looks = dict(style.overlay)
    for text in overlays:
        name, parameters = parse_overlay(text)
        if name in without:
            raise RenderError(f"--overlay {name} and --no-overlay {name} contradict each other; leave out one of them")
        looks[name] = replaced(looks[name], parameters, f"--overlay {name}")
        chosen[name] = True
    given = make_room({name: value for name, value in values.items() if value is not None})
    style = replace(style, **given, overlay=looks, overlays=tuple(name for name in style.order if chosen.get(name)))
    if style.unjoined and not (show.get("arrow") or "arrow" in map(overlay_name, overlays)):  # it goes with its marks
        style = replace(style, overlays=tuple(name for name in style.overlays if name != "arrow"))
    check_style(style)
    return style


def overlay_name(text: str) -> str:
    """The name in `name:key=value,…`."""
    return text.partition(":")[0]


def parse_overlay(text: str) -> tuple[str, dict[str, str]]:
    """The name and the parameters, as texts, of `name:key=value,…`; RenderError for any other text."""
    name, colon, rest = text.partition(":")
    check_choice("--overlay", name, known_overlays(), RenderError)
    values: dict[str, str] = {}
    for item in rest.split(",") if colon else []:
        key, equals, value = item.partition("=")
        if not (key and equals and value) or key in values:
            raise RenderError(f"--overlay {text!r} is not understood at {item!r}; write name:key=value,key=value")
        values[key] = value
    return name, values
