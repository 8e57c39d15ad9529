"""The cache: one HDF5 file per episode. This is its face; dlrender imports from here alone."""

from dlscore.cache.drift import drift_label, format_drift, over_limit
from dlscore.cache.errors import BusyError, CacheError, FolderError, ForeignError, StaleError
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.cache.schema import part_path
from dlscore.cache.trust import LARGE_ERROR, LEAST_INSIDE, density_name

__all__ = [
    "LARGE_ERROR",
    "LEAST_INSIDE",
    "BusyError",
    "CacheError",
    "EpisodeCache",
    "FolderError",
    "ForeignError",
    "StaleError",
    "density_name",
    "drift_label",
    "format_drift",
    "open_cache",
    "over_limit",
    "part_path",
]
