"""What users choose by name and value: an unknown name is answered with the nearest one, a value is checked by its type.

A style file and `--overlay name:key=value` set fields of frozen dataclasses; `replaced` is the one way to do so.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from dlrender.errors import RenderError
from dlscore.common.choices import check_known


def replaced[T](instance: T, values: Mapping[str, Any], where: str) -> T:
    """A copy of a dataclass with fields set from a TOML table or from texts; RenderError names key, value and what is allowed.

    where: what the user calls the instance, such as "overlay contours".
    """
    kinds = typing.get_type_hints(type(instance))
    names = [field.name for field in fields(instance)]  # type: ignore[arg-type]
    for name in values:
        check_known("key", name, names, RenderError, where)
    converted = {name: convert(value, kinds[name], f"{where}: {name}") for name, value in values.items()}
    try:
        changed: T = replace(instance, **converted)  # type: ignore[type-var]
    except RenderError as error:  # of the class's own checks
        raise RenderError(f"{where}: {error}") from error
    return changed


def convert(value: Any, kind: Any, where: str) -> Any:
    """A value of TOML, or a text, as `kind`: bool, int, float, str, a tuple of one of them, or one of these or None.

    A text of a tuple has slashes, such as 0.5/0.8. RenderError for what is something else, or not finite.
    """
    if isinstance(kind, types.UnionType):  # float | None: a value that is given is no None
        (kind,) = (each for each in typing.get_args(kind) if each is not type(None))
    if typing.get_origin(kind) is tuple:
        parts = value.split("/") if isinstance(value, str) else value
        if not isinstance(parts, list):
            raise RenderError(f"{where} {value!r} is not allowed; give a list, such as {_EXAMPLES[kind]}")
        return tuple(convert(part, typing.get_args(kind)[0], where) for part in parts)
    found = _parse(value, kind) if isinstance(value, str) and kind is not str else value
    if kind is float and type(found) is int:
        found = float(found)
    if type(found) is not kind or (kind is float and not math.isfinite(found)):
        raise RenderError(f"{where} {value!r} is not allowed; give {_EXAMPLES[kind]}")
    return found


_EXAMPLES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    tuple[float, ...]: "[0.5, 0.8] or, on the command line, 0.5/0.8",
    tuple[str, ...]: '["one", "two"]',
}


def _parse(text: str, kind: Any) -> Any:
    # The value that a text stands for, or the text itself where it stands for none.
    if kind is bool:
        return {"true": True, "false": False}.get(text, text)
    try:
        return kind(text)
    except ValueError:
        return text
