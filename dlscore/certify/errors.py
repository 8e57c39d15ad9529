"""The one exception of this room."""

from __future__ import annotations

from dlscore.common.errors import UserError


class CertifyError(UserError):
    """A known density, schedule or truth that does not exist or cannot be used."""
