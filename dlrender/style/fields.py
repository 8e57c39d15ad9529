"""Setting fields of frozen dataclasses from style files, options and keyword arguments.

An unknown name is an error that suggests the nearest one; a value is checked against the type of its field.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from dlrender.errors import RenderError
from dlscore.common.choices import check_known


def replaced[T](instance: T, values: Mapping[str, Any], where: str) -> T:
    """A copy of a dataclass with some fields set; RenderError names the key, the value and what is allowed.

    where: names the instance in messages, such as "overlay contours".
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
    """A value of Python or TOML, or its text, as `kind`: bool, int, float, str, a tuple of one of these, or one of these or None.

    The text of a tuple has slashes, such as 0.5/0.8. RenderError for other types and for numbers that are not finite.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(kind, types.UnionType):  # float | None
        if value is None:
            return None
        (kind,) = (each for each in typing.get_args(kind) if each is not type(None))
    if typing.get_origin(kind) is tuple:
        parts = value.split("/") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise RenderError(f"{where} {value!r} is not allowed; give a list, such as {_EXAMPLES[kind]}")
        return tuple(convert(part, typing.get_args(kind)[0], where) for part in parts)
    parsed = _parse(value, kind) if isinstance(value, str) and kind is not str else value
    if kind is float and type(parsed) is int:
        parsed = float(parsed)
    if type(parsed) is not kind or (kind is float and not math.isfinite(parsed)):
        raise RenderError(f"{where} {value!r} is not allowed; give {_EXAMPLES[kind]}")
    return parsed


_EXAMPLES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    tuple[float, ...]: "[0.5, 0.8] or, on the command line, 0.5/0.8",
    tuple[str, ...]: '["one", "two"]',
}


def _parse(text: str, kind: Any) -> Any:
    # The value of a text, or the text itself if it has none of this kind.
    if kind is bool:
        return {"true": True, "false": False}.get(text, text)
    try:
        return kind(text)
    except ValueError:
        return text
