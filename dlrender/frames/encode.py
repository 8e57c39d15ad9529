"""Frames to files: H.264 in mp4, animated webp and gif, or a folder of png. A file gets its name when it is complete.

A format is one row in FORMATS, except png, which is no stream. Each video has a thread that encodes while the next frames
are drawn. Memory does not grow with the number of frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dlrender.errors import RenderError
from dlrender.frames.frame import Converted, Frame, Patch, Picture, compose, planes_of
from dlrender.frames.notes import add_note, format_note
from dlscore.common.arrays import Array
from dlscore.common.files import atomic_path

AHEAD = 4  # frames that may wait for the encoder
PIXEL_FORMATS = ("yuv420p", "yuv444p")  # of mp4: every player; sharp colours
FLAT = 0.001  # of the pixels of a video: a colour with so many is in its palette as it is
APART = 12  # of 255: from a flat colour to the nearest other in a palette
GIF_RATE = 50.0  # frames/s; browsers slow down what is faster
X264 = "subme=1:me=dia:weightp=0:8x8dct=0:no-deblock=1:bframes=0:rc-lookahead=5:threads=1"


@dataclass(frozen=True)
class Format:
    """How PyAV writes one format."""

    codec: str
    pixels: str
    options: Mapping[str, str] = field(default_factory=dict)
    container: Mapping[str, str] = field(default_factory=dict)


FORMATS = {
    # The colour matrix is explicit, since players guess it from the height. X264 leaves out what takes half of the
    # preset's time, for files 10 % larger and a signal-to-noise ratio of 49 to 51 dB, 0.2 less. One thread: the other cores
    # draw.
    "mp4": Format(
        "libx264",
        "yuv420p",
        {"crf": "18", "preset": "veryfast", "x264-params": f"colormatrix=smpte170m:{X264}"},
        {"movflags": "+faststart"},
    ),
    "webp": Format("libwebp_anim", "yuv420p", {"quality": "90"}, {"loop": "0"}),
    "gif": Format("gif", "pal8", {}, {"loop": "0"}),
}
KINDS = (*FORMATS, "png")


class Writer:
    """Writes frames of one even size to a stream, which its own thread encodes.

    The next `write` or `close` raises errors of the encoder.
    """

    def __init__(self, path: Path, kind: str, width: int, height: int, fps: float, metadata: Mapping[str, Any],
                 pixels: str | None = None, palette: Image.Image | None = None) -> None:  # fmt: skip
        form = FORMATS[kind]
        pixels, self._palette = pixels or form.pixels, palette
        self.kind = pixels if palette is None else "rgb24"  # of the pictures that it takes
        self._container = av.open(str(path), "w", format=kind, options=dict(form.container))
        self._container.metadata["title"] = str(metadata.get("title", ""))
        self._container.metadata["comment"] = format_note(metadata)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._stream: Any = self._container.add_stream(form.codec, rate=self._rate, options=dict(form.options))
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, pixels
        self._thread = ThreadPoolExecutor(1)
        self._frame = av.VideoFrame(width, height, pixels)  # reused: only what changes is written into it
        self._waiting: deque[Future[None]] = deque()
        self._count = 0

    def write(self, *frames: Frame) -> None:
        """Append one frame, composed of the panels' frames from left to right. They may change as soon as this returns."""
        self.append(compose(frames, self.kind))

    def append(self, picture: Picture) -> None:
        """Append one frame, which is composed."""
        self._submit(self._encode_planes if self._palette is None else self._encode_indexed, picture)

    def _submit(self, encode: Callable[[Any], None], data: Any) -> None:
        if len(self._waiting) == AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(encode, data))

    def _encode_planes(self, patches: Sequence[tuple[int, Patch | Converted]]) -> None:
        frame = self._frame
        for offset, patch in patches:
            for target, values in zip(planes_of(frame), patch.planes, strict=True):
                share = frame.width // target.shape[1]  # 2 for the colour planes of yuv420p
                top, left = patch.top // share, (offset + patch.left) // share
                target[top : top + values.shape[0], left : left + values.shape[1]] = values
        self._encode(frame)

    def _encode(self, frame: av.VideoFrame) -> None:
        frame.pts, frame.time_base = self._count, 1 / self._rate
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def _encode_indexed(self, pixels: Array) -> None:
        assert self._palette is not None
        index = np.asarray(Image.fromarray(pixels).quantize(palette=self._palette, dither=Image.Dither.NONE))
        colours = np.array(self._palette.getpalette(), dtype=np.uint8).reshape(-1, 3)
        table = np.zeros((256, 4), dtype=np.uint8)  # ARGB; unused rows are transparent, for pixels that stay the same
        table[: len(colours), 0], table[: len(colours), 1:] = 255, colours
        frame = av.VideoFrame.from_ndarray((index, table), format="pal8")  # type: ignore[arg-type]
        self._encode(frame)

    def close(self) -> None:
        """Flush the encoder and write the index."""
        while self._waiting:
            self._waiting.popleft().result()
        self._container.mux(self._stream.encode())
        self._container.close()
        self._thread.shutdown()

    def abandon(self) -> None:
        """Stop encoding and close the file, which is incomplete."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._container.close()


class PngWriter:
    """A folder of 0000.png, 0001.png, …: lossless, for LaTeX and video editors."""

    kind = "rgb24"

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        self._folder, self._count = path, 0
        path.mkdir()
        self._note = PngInfo()
        self._note.add_itxt("Comment", format_note(metadata))

    def write(self, *frames: Frame) -> None:
        """Append one frame, composed of the panels' frames from left to right."""
        self.append(compose(frames, self.kind))

    def append(self, picture: Picture) -> None:
        """Append one frame, which is composed."""
        image = Image.fromarray(np.asarray(picture))
        image.save(self._folder / f"{self._count:04d}.png", pnginfo=self._note, compress_level=4)
        self._count += 1

    def close(self) -> None:
        """Nothing to do: each frame is a file."""

    def abandon(self) -> None:
        """Nothing to do: no file is open."""


def make_palette(frames: Sequence[Array]) -> Image.Image:
    """One palette of at most 255 colours from sample frames (H, W, 3) uint8 of a video.

    Colours of large areas, such as the white of the environment, are in it as they are; the rest is by median cut.
    """
    pixels = np.concatenate(frames)
    cut = Image.fromarray(pixels).quantize(255, method=Image.Quantize.MEDIANCUT).getpalette()
    packed = pixels.reshape(-1, 3).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    values, counts = np.unique(packed, return_counts=True)
    large = values[np.argsort(-counts)][: np.count_nonzero(counts >= FLAT * len(packed))]
    flat = np.stack([large >> 16, large >> 8 & 255, large & 255], axis=-1).astype(int)
    kept: list[Array] = []
    for colour in flat:
        if _is_apart(colour, kept):
            kept.append(colour)
    others = [colour for colour in np.array(cut).reshape(-1, 3) if _is_apart(colour, kept)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.array([*kept, *others][:255], dtype=np.uint8).tobytes())
    return palette


def _is_apart(colour: Array, others: Sequence[Array]) -> bool:
    # Pillow looks for the nearest colour in steps of 4, and could take one that is too near for a flat one.
    return not others or bool(np.abs(np.array(others) - colour).max(axis=1).min() >= APART)


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
) -> Iterator[Writer | PngWriter]:
    """A writer for `path`, which appears when the block ends without an error. The suffix of `path` is the format.

    A path without a suffix becomes a folder of png. gif needs a `palette`.
    """
    with atomic_path(path, RenderError) as part:
        kind = path.suffix[1:]
        writer = (
            Writer(part, kind, width, height, fps, metadata, pixels, palette) if kind else PngWriter(part, metadata)
        )
        try:
            yield writer
        except BaseException:
            writer.abandon()
            raise
        writer.close()
        add_note(part, kind, metadata)
