"""The one exception of this room."""

from __future__ import annotations

from dlscore.common.errors import UserError

__all__ = ["ConvertError"]


class ConvertError(UserError):
    """A checkpoint that cannot be converted exactly."""
