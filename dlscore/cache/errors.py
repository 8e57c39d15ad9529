"""The exceptions of the cache."""

from __future__ import annotations

from dlscore.common.errors import UserError


class CacheError(UserError):
    """A cache that cannot be written, or one that is damaged, foreign, partial or of an unknown schema."""


class ForeignError(CacheError):
    """An HDF5 file that is not a cache, or a cache of another major schema; only --force replaces it."""


class StaleError(CacheError):
    """A cache of other settings, or one that cannot be read."""


class BusyError(CacheError):
    """A cache that another run is writing."""


class FolderError(CacheError):
    """The folder of a cache is full, read-only or missing, which affects every episode."""
