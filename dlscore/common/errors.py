"""The base class of every error that a user can cause or fix."""

import os


class UserError(Exception):
    """A problem that the message explains in one line: what, the value received, what is allowed, what to do."""


def debugging() -> bool:
    """Whether DLSCORE_DEBUG asks for tracebacks instead of one line."""
    return os.environ.get("DLSCORE_DEBUG", "") not in ("", "0")
