"""Frames to H.264 in mp4, streamed; a file gets its name when it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlrender.errors import RenderError

Array = NDArray[Any]


def part_of(path: Path) -> Path:
    """Where an unfinished file lies: in the same folder, so that the last rename is atomic."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` at the end, and is removed if anything fails."""
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise RenderError(f"cannot write {path} ({error.strerror or error}); choose another folder") from error
    finally:
        with suppress(OSError):  # it is gone after the rename, and where nothing can be written there is nothing
            part.unlink()


class Mp4:
    """Encode frames (H, W, 3) uint8 of one even size: libx264, yuv420p, constant rate, index at the front."""

    def __init__(self, path: Path, width: int, height: int, fps: float, metadata: Mapping[str, Any]) -> None:
        import av

        self._av = av
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._container.metadata["title"] = str(metadata.get("title", ""))
        self._container.metadata["comment"] = json.dumps(metadata, sort_keys=True)
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"

    def write(self, frame: Array) -> None:
        """Append one frame."""
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Flush the encoder and write the index."""
        self._container.mux(self._stream.encode())
        self._container.close()


@contextmanager
def mp4(path: Path, width: int, height: int, fps: float, metadata: Mapping[str, Any]) -> Iterator[Mp4]:
    """An encoder for `path`, which appears when the block ends without an error."""
    with whole_file(path) as part:
        video = Mp4(part, width, height, fps, metadata)
        try:
            yield video
        except BaseException:
            video._container.close()
            raise
        video.close()
