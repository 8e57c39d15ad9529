"""Frames as indices into a palette, which grows as colours turn up."""

from __future__ import annotations

import numpy as np

from dlscore.cache.errors import CacheError
from dlscore.cache.schema import FIXED_DIMENSIONS
from dlscore.common.arrays import Array


def index_frames(frames: Array, palette: dict[tuple[int, ...], int]) -> Array:
    """(K, 512, 512) uint8 indices of the frames' colours in the palette, to which new colours are added."""
    indexed = []
    for frame in frames:
        packed = frame.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
        colours, index = np.unique(packed, return_inverse=True)
        rgb = [(int(value) >> 16, int(value) >> 8 & 255, int(value) & 255) for value in colours]
        for colour in rgb:
            if palette.setdefault(colour, len(palette)) == FIXED_DIMENSIONS["colour"]:
                raise CacheError("the frames of this episode have more than 256 colours; the cache keeps 256")
        places = np.array([palette[colour] for colour in rgb], dtype=np.uint8)
        indexed.append(places[index].reshape(frame.shape[:2]))
    return np.stack(indexed)
