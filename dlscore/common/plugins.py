"""Classes that other distributions add through entry points, such as overlays and scorers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from dlscore.common.errors import UserError
from dlscore.common.text import reason_of

_loaded: dict[tuple[str, type, type], dict[str, Any]] = {}  # by the arguments of load_plugins


def load_plugins[T](group: str, base: type[T], error: type[UserError]) -> dict[str, type[T]]:
    """The classes of an entry point group by name, in alphabetical order; imported once.

    base: the class that each must be a subclass of; `object` for any class. A plugin that cannot be imported or is no such
    class raises `error`, which names the entry point and its distribution.
    """
    if (group, base, error) not in _loaded:
        _loaded[group, base, error] = _load_group(group, base, error)
    return dict(_loaded[group, base, error])


def add_plugins[T](
    builtin: Mapping[str, type[T]], group: str, base: type[T], error: type[UserError]
) -> dict[str, type[T]]:
    """The built-in classes by name, then those of an entry point group; raises `error` if two have one name."""
    plugins = load_plugins(group, base, error)
    for name in plugins:
        if name in builtin:
            (entry,) = entry_points(group=group, name=name)
            raise error(f"{describe(entry)} has the name of a built-in; rename it there or uninstall the distribution")
    return {**builtin, **plugins}


def describe(entry: EntryPoint) -> str:
    """`entry point star = my.module:Star (dlrender.overlays, my-package 1.0)`."""
    source = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
    return f"entry point {entry.name} = {entry.value} ({entry.group}, {source})"


def forget_plugins() -> None:
    """Look at the installed distributions again at the next call; for tests."""
    _loaded.clear()


def _load_group(group: str, base: type, error: type[UserError]) -> dict[str, type]:
    entries: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        if (other := entries.setdefault(entry.name, entry)) != entry:
            raise error(f"{describe(entry)} and {describe(other)} have one name; uninstall one of them")
    return {name: _load(entry, base, error) for name, entry in entries.items()}


def _load(entry: EntryPoint, base: type, error: type[UserError]) -> type:
    try:
        plugin: object = entry.load()
    except Exception as cause:  # whatever its import raises
        raise error(
            f"{describe(entry)} cannot be imported ({type(cause).__name__}: {reason_of(cause)}); mend or uninstall it"
        ) from cause
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        kind = "a class" if base is object else f"a subclass of {base.__module__}.{base.__qualname__}"
        raise error(f"{describe(entry)} is not {kind}; mend or uninstall it")
    return plugin
