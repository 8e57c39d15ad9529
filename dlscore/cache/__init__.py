"""The cache of an episode. This is its face: what a reader such as dlrender needs, and all that it may import."""

from dlscore.cache.drift import drift_label, format_drift, over_limit
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.cache.schema import part_path

__all__ = ["CacheError", "EpisodeCache", "drift_label", "format_drift", "open_cache", "over_limit", "part_path"]
