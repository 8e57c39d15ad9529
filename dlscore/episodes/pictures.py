"""Pictures of an episode as uint8 CHW, decoded from a video or from the encoded images of a parquet column."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.common.arrays import Array
from dlscore.episodes.episode import DatasetError

__all__ = ["decode_images", "decode_video"]


def decode_video(file: Path, times: Sequence[float], tolerance: float) -> Array:
    """(K, 3, H, W) uint8 frames of a video at ascending `times` [s]: the nearest to each, at most `tolerance` away.

    Decodes as LeRobot does with PyAV, from the key frame before the first time, and keeps the wanted frames only.
    """
    import av

    kept: dict[int, Array] = {}
    wanted_times, nearest = np.asarray(times), np.full(len(times), np.inf)
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        if base is None:
            raise DatasetError(f"{file} has no time base; fetch the data set again")
        container.seek(round(times[0] / base) - 1, backward=True, any_frame=False, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            now = float(frame.pts * base)
            distance = np.abs(wanted_times - now)
            wanted = np.flatnonzero((distance <= tolerance) & (distance < nearest))
            if len(wanted):
                picture = frame.to_ndarray(format="rgb24").transpose(2, 0, 1)
                nearest[wanted] = distance[wanted]
                kept |= dict.fromkeys(wanted.tolist(), picture)
            if now >= times[-1] + tolerance:
                break
    if len(kept) < len(times):
        missing = next(k for k in range(len(times)) if k not in kept)
        raise DatasetError(f"{file} has no frame at {times[missing]:.3f} s; fetch the data set again")
    return np.stack([kept[k] for k in range(len(times))])


def decode_images(column: Any, root: Path) -> Array:
    """(K, 3, H, W) uint8 pictures of an arrow column of {bytes, path}."""
    from PIL import Image

    found = []
    for entry in column.to_pylist():
        source = io.BytesIO(entry["bytes"]) if entry["bytes"] is not None else root / entry["path"]
        with Image.open(source) as image:
            found.append(np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    return np.stack(found)
