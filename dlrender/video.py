"""Frames to H.264 in mp4, streamed; a file gets its name when it is whole."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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


AHEAD = 4  # frames that may wait for the encoder: it works while the next ones are drawn, and memory stays bounded


class Mp4:
    """Encode frames (H, W, 4) RGBA uint8 of one even size: libx264, yuv420p, constant rate, index at the front.

    Encoding runs beside drawing, in a thread; its errors are raised by the next `write` or by `close`.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, metadata: Mapping[str, Any]) -> None:
        import av

        self._av = av
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._container.metadata["title"] = str(metadata.get("title", ""))
        self._container.metadata["comment"] = json.dumps(metadata, sort_keys=True)
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._thread = ThreadPoolExecutor(1)
        self._free = [av.VideoFrame(width, height, "rgba") for _ in range(AHEAD)]
        self._waiting: deque[tuple[Future[None], Any]] = deque()

    def write(self, *parts: Array) -> None:
        """Append one frame, given whole or in parts from left to right, of which a copy is taken."""
        picture = self._free.pop() if self._free else self._next()
        plane = picture.planes[0]
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(picture.height, plane.line_size)
        left = 0
        for part in parts:
            rows[:, 4 * left : 4 * (left + part.shape[1])].reshape(part.shape)[:] = part
            left += part.shape[1]
        self._waiting.append((self._thread.submit(self._encode, picture), picture))

    def _next(self) -> Any:
        # The frame that has waited longest, when it is encoded.
        done, picture = self._waiting.popleft()
        done.result()
        return picture

    def _encode(self, picture: Any) -> None:
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Flush the encoder and write the index."""
        while self._waiting:
            self._next()
        self._container.mux(self._stream.encode())
        self._container.close()
        self._thread.shutdown()

    def abandon(self) -> None:
        """Let go of the file, whatever is in it."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._container.close()


@contextmanager
def mp4(path: Path, width: int, height: int, fps: float, metadata: Mapping[str, Any]) -> Iterator[Mp4]:
    """An encoder for `path`, which appears when the block ends without an error."""
    with whole_file(path) as part:
        video = Mp4(part, width, height, fps, metadata)
        try:
            yield video
        except BaseException:
            video.abandon()
            raise
        video.close()
