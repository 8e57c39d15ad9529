"""Frames to a file, streamed: H.264 in mp4, animated webp and gif, or a folder of png; named when it is whole.

A format is one row in FORMATS, but for png, which is no stream. Encoding runs beside drawing, in a thread; memory is
bounded whatever the number of frames.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dlrender.errors import RenderError

Array = NDArray[Any]

AHEAD = 4  # frames that may wait for the encoder
PIXEL_FORMATS = ("yuv420p", "yuv444p")  # of mp4: every player; sharp colours
GIF_RATE = 50.0  # frames/s; browsers slow down what is faster


@dataclass(frozen=True)
class Format:
    """How PyAV writes a kind of file."""

    codec: str
    pixels: str
    options: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, str] = field(default_factory=dict)


FORMATS = {
    "mp4": Format("libx264", "yuv420p", {"crf": "18", "preset": "veryfast"}, {"movflags": "+faststart"}),
    "webp": Format("libwebp_anim", "yuv420p", {"quality": "90"}, {"loop": "0"}),
    "gif": Format("gif", "pal8", {}, {"loop": "0"}),
}
KINDS = (*FORMATS, "png")


def part_of(path: Path) -> Path:
    """Where an unfinished file lies: in the same folder, so that the last rename is atomic."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` at the end, and is removed if anything fails; a file or a folder."""
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        yield part
        if path.is_dir():  # a folder is not replaced by a rename
            _remove(path)
        part.replace(path)
    except OSError as error:
        raise RenderError(f"cannot write {path} ({error.strerror or error}); choose another folder") from error
    finally:
        with suppress(OSError):  # it is gone after the rename, and where nothing can be written there is nothing
            _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Writer:
    """Frames (H, W, 4) RGBA uint8 of one even size, whole or in parts, to a stream in a thread of its own.

    Errors of the encoder are raised by the next `write` or by `close`.
    """

    def __init__(self, path: Path, kind: str, width: int, height: int, fps: float, metadata: Mapping[str, Any],
                 pixels: str | None = None, palette: Image.Image | None = None) -> None:  # fmt: skip
        import av

        self._av, self._palette, self._format = av, palette, FORMATS[kind]
        self._container = av.open(str(path), "w", format=kind, options=dict(self._format.container))
        self._container.metadata["title"] = str(metadata.get("title", ""))
        self._container.metadata["comment"] = json.dumps(metadata, sort_keys=True)
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream(self._format.codec, rate=rate, options=dict(self._format.options))
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = pixels or self._format.pixels
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
        if self._palette is not None:
            picture = self._indexed(picture, self._palette)
        self._container.mux(self._stream.encode(picture))

    def _indexed(self, picture: Any, palette: Image.Image) -> Any:
        frame = Image.fromarray(picture.to_ndarray(format="rgb24"))
        index = np.asarray(frame.quantize(palette=palette, dither=Image.Dither.NONE))
        colours = np.array(palette.getpalette(), dtype=np.uint8).reshape(-1, 3)
        table = np.zeros((256, 4), dtype=np.uint8)  # ARGB; what is left is transparent, for pixels that stay the same
        table[: len(colours), 0], table[: len(colours), 1:] = 255, colours
        return self._av.VideoFrame.from_ndarray((index, table), format="pal8")

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


class Pictures:
    """A folder of 0000.png, 0001.png, …: lossless, for LaTeX and video editors."""

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        self._folder, self._count = path, 0
        path.mkdir()
        self._note = PngInfo()
        self._note.add_itxt("Comment", json.dumps(metadata, sort_keys=True))

    def write(self, *parts: Array) -> None:
        """Append one frame, given whole or in parts from left to right."""
        frame = Image.fromarray(np.concatenate([part[..., :3] for part in parts], axis=1))
        frame.save(self._folder / f"{self._count:04d}.png", pnginfo=self._note, compress_level=4)
        self._count += 1

    def close(self) -> None:
        """Nothing is left to do."""

    def abandon(self) -> None:
        """Nothing is held."""


def make_palette(frames: Sequence[Array]) -> Image.Image:
    """One palette of at most 255 colours for frames (H, W, 3 or 4) uint8 that are like those of the video."""
    sample = np.concatenate([frame[..., :3] for frame in frames])
    return Image.fromarray(sample).quantize(255, method=Image.Quantize.MEDIANCUT)


@contextmanager
def video(
    path: Path,
    width: int,
    height: int,
    fps: float,
    metadata: Mapping[str, Any],
    *,
    pixels: str | None = None,
    palette: Image.Image | None = None,
) -> Iterator[Writer | Pictures]:
    """A writer for `path`, which appears when the block ends without an error; its suffix says of what kind it is.

    A path without a suffix becomes a folder of png. gif needs a `palette`.
    """
    with whole_file(path) as part:
        kind = path.suffix[1:]
        writer = Writer(part, kind, width, height, fps, metadata, pixels, palette) if kind else Pictures(part, metadata)
        try:
            yield writer
        except BaseException:
            writer.abandon()
            raise
        writer.close()
