"""The one exception of this room."""

from __future__ import annotations

from dlscore.common.errors import UserError


class PolicyError(UserError):
    """A policy that cannot be found, loaded exactly, or used on PushT."""
