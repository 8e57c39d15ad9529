"""Reaching a Ray cluster: does its address answer, and with which token."""

from __future__ import annotations

import os
import re
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dlscore.common.errors import UserError
from dlscore.common.text import reason_of

__all__ = ["EngineError", "authentication", "check_address"]

ANSWER = 5.0  # s that a cluster may take to accept a connection
MODE, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"


class EngineError(UserError):
    """Ray is not installed or cannot start, or the workers are not available."""


def check_address(address: str) -> None:
    """Raise EngineError unless something answers at host:port; other addresses, such as `auto`, are left to Ray."""
    match = re.fullmatch(r"(?:ray://)?\[?([^\[\]/]+?)\]?:(\d+)", address)
    if match is None:
        return
    try:
        socket.create_connection((match[1], int(match[2])), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise EngineError(
            f"RAY_ADDRESS {address} does not answer ({reason_of(error)}); start a cluster with `ray start --head` there, or "
            "unset RAY_ADDRESS to start Ray on this machine"
        ) from error


@contextmanager
def authentication(address: str) -> Iterator[None]:
    """Ray's token for a cluster, or one for this run alone, unless RAY_AUTH_MODE says otherwise.

    `ray start` demands a token as soon as ~/.ray/auth_token exists, but a client sends it only if RAY_AUTH_MODE is set. And
    a local cluster would leave that file behind.
    """
    # Ray reads its mode when it is imported, and again when it is told to.
    before = {name: os.environ.get(name) for name in (MODE, TOKEN)}
    if before[MODE] is None:
        known = (
            before[TOKEN] or os.environ.get("RAY_AUTH_TOKEN_PATH") or (Path.home() / ".ray" / "auth_token").is_file()
        )
        if not address and not known:
            os.environ[TOKEN] = uuid.uuid4().hex
        if not address or known:
            os.environ[MODE] = "token"
    _refresh()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _refresh()


def _refresh() -> None:
    if "ray" in sys.modules:
        with suppress(ImportError, AttributeError):  # Ray's own way, which other versions may not have
            from ray._raylet import Config  # type: ignore[attr-defined]

            Config.initialize("")
