"""The exception of dlrender."""

from dlscore.common.errors import UserError


class RenderError(UserError):
    """Something that dlrender cannot draw or write as asked."""
