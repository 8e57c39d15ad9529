"""Names and values that users choose: an unknown name is answered with the nearest one that exists."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import NoReturn

from dlscore.common.errors import UserError

LISTED = 20  # so many choices are listed in a message; more are counted


def check_choice(option: str, value: str, allowed: Collection[str], error: type[UserError]) -> None:
    """Raise `error` unless `value` is one of the values `allowed` for an option such as `--replay`."""
    if value not in allowed:
        raise error(f"invalid value {value!r} for {option}; {suggest(value, allowed)}")


def check_known(what: str, name: str, known: Collection[str], error: type[UserError], where: str = "") -> None:
    """Raise `error` unless `name` is a `known` name of something (`what`, such as "overlay"), found in the place `where`."""
    if name not in known:
        raise error(f"{where and f'{where}: '}unknown {what} {name!r}; {suggest(name, known)}")


def suggest(name: str, known: Collection[str]) -> str:
    """`did you mean episode? choose from episode, frame` for a name that is not one of `known`."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"{hint}choose from {', '.join(known)}" if len(known) <= LISTED else f"{hint}choose one of {len(known)} names"
    )


def require(option: str, value: object, allowed: str, holds: bool, error: type[UserError]) -> None:
    """Raise `error` unless the condition on an option's value, which `allowed` puts into words, `holds`."""
    if not holds:
        refuse(option, value, allowed, error)


def refuse(option: str, value: object, allowed: str, error: type[UserError]) -> NoReturn:
    """Raise `error`, which says what value an option has, and what `allowed` would be."""
    raise error(f"{option} {value} is not allowed; it must be {allowed}")
