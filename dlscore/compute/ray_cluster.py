"""Reaching a Ray cluster: does its address answer, and with which token."""

from __future__ import annotations

import os
import re
import socket
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from dlscore.common.errors import UserError
from dlscore.common.text import reason_of

__all__ = ["EngineError", "authenticate", "check_address"]

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


def authenticate(address: str) -> None:
    """Set Ray's token for a cluster, or one for this process alone, unless RAY_AUTH_MODE says otherwise.

    `ray start` demands a token as soon as ~/.ray/auth_token exists, but a client sends it only if RAY_AUTH_MODE is set. And
    a local cluster would leave that file behind. The variables stay: Ray reads a token once in the life of a process.
    """
    if MODE in os.environ:
        return
    saved = Path.home() / ".ray" / "auth_token"  # Ray itself does not find it where HOME is not set
    if TOKEN not in os.environ and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        if saved.is_file():
            os.environ[TOKEN] = saved.read_text().strip()
        elif not address:
            os.environ[TOKEN] = uuid.uuid4().hex
    if TOKEN in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        os.environ[MODE] = "token"
    if "ray" in sys.modules:  # it read its mode when it was imported
        with suppress(ImportError, AttributeError):  # Ray's own way, which other versions may not have
            from ray._raylet import Config  # type: ignore[attr-defined]

            Config.initialize("")
