"""The one exception of this package."""

from dlscore.common.errors import UserError


class RenderError(UserError):
    """A picture that cannot be drawn or written as asked."""
