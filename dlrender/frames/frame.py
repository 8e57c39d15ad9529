"""A panel's frame on its way to the encoders: RGBA pixels, the box that changed, and that box as planes.

Most pixels stay the same from one frame to the next. Only the box that changed is converted, once for all videos that
show the panel, by the first of their threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import av
import numpy as np

from dlscore.common.arrays import Array

Box = tuple[int, int, int, int]  # left, top, right, bottom [px]

MARGIN = 4  # px around the box, even: more than the reach of the scaling of the colour planes


class Patch:
    """A copy of a part of a frame. Its upper left corner is at (left, top), both even. Pickled, it is its planes."""

    def __init__(self, pixels: Array, box: Box, kind: str) -> None:
        height, width = pixels.shape[:2]
        self.left, self.top = box[0] - box[0] % 2, box[1] - box[1] % 2
        self.right, self.bottom = box[2] + box[2] % 2, box[3] + box[3] % 2
        # The conversion is inexact at the edges of its input, so a margin is converted too and cut off.
        self._outer = max(0, self.left - MARGIN), max(0, self.top - MARGIN)
        x, y = self._outer
        part = pixels[y : min(height, self.bottom + MARGIN), x : min(width, self.right + MARGIN)]
        self._kind, self._lock = kind, Lock()
        self._planes: tuple[Array, ...] = ()
        self._frame = av.VideoFrame(part.shape[1], part.shape[0], "rgba")
        plane = self._frame.planes[0]
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(part.shape[0], plane.line_size)  # type: ignore[arg-type]
        rows[:, : 4 * part.shape[1]].reshape(part.shape)[:] = part

    def __reduce__(self) -> tuple[Any, ...]:
        return Converted, (self.left, self.top, tuple(np.ascontiguousarray(values) for values in self.planes))

    @property
    def planes(self) -> tuple[Array, ...]:
        """Y, U and V of the part, converted by the first thread that asks."""
        with self._lock:
            if not self._planes:
                self._planes = tuple(self._cut(values) for values in planes_of(self._frame.reformat(format=self._kind)))
        return self._planes

    def _cut(self, values: Array) -> Array:
        share = self._frame.width // values.shape[1]  # 2 for the colour planes of yuv420p
        x, y = (self.left - self._outer[0]) // share, (self.top - self._outer[1]) // share
        return values[y : y + (self.bottom - self.top) // share, x : x + (self.right - self.left) // share]


@dataclass(frozen=True)
class Converted:
    """A patch whose planes are there."""

    left: int
    top: int
    planes: tuple[Array, ...]


@dataclass
class Frame:
    """A panel's frame: `pixels` (H, W, 4) uint8 RGBA, of an even size. The panel overwrites them when it renders again.

    changed: the box that differs from the frame before, None if nothing differs.
    """

    pixels: Array
    changed: Box | None
    _patches: dict[str, Patch] = field(default_factory=dict)

    @classmethod
    def whole(cls, pixels: Array) -> Frame:
        """A frame without one before it: all of it has changed."""
        return cls(pixels, (0, 0, pixels.shape[1], pixels.shape[0]))

    def beside(self, pixels: Array) -> Frame:
        """A frame of other pixels that are the same in the box that changed, which is converted once for both."""
        return Frame(pixels, self.changed, self._patches)

    def patch(self, kind: str) -> Patch | None:
        """The box that changed, as planes of a pixel format of libav (yuv420p or yuv444p); None if nothing changed."""
        if self.changed is None:
            return None
        if kind not in self._patches:
            self._patches[kind] = Patch(self.pixels, self.changed, kind)
        return self._patches[kind]


# A frame of a video, ready to be encoded: RGB, or what changes, by its offset from the left.
Picture = Array | Sequence[tuple[int, Patch | Converted]]


def compose(frames: Sequence[Frame], kind: str) -> Picture:
    """The panels' frames from left to right as a picture: RGB if `kind` is rgb24, else what changed as planes of that kind.

    The frames may change as soon as this returns.
    """
    if kind == "rgb24":
        return hstack(frames)
    patches, left = [], 0
    for frame in frames:
        if (patch := frame.patch(kind)) is not None:
            patches.append((left, patch))
        left += frame.pixels.shape[1]
    return patches


def union(boxes: Sequence[Box | None]) -> Box | None:
    """The least box around those that are there; None if there is none."""
    there = np.array([box for box in boxes if box is not None])
    if not len(there):
        return None
    left, top, right, bottom = (int(each) for each in (*there[:, :2].min(axis=0), *there[:, 2:].max(axis=0)))
    return left, top, right, bottom


def restore_rim(buffer: Array, clean: Array, square: tuple[int, int, int]) -> None:
    """Put back the line of pixels around a square (left, top, side), which markers that are clipped to it may reach."""
    left, top, side = square
    rows, columns = slice(max(0, top - 1), top + side + 1), slice(max(0, left - 1), left + side + 1)
    for row in (top - 1, top + side):
        if 0 <= row < len(buffer):
            buffer[row, columns] = clean[row, columns]
    for column in (left - 1, left + side):
        if 0 <= column < buffer.shape[1]:
            buffer[rows, column] = clean[rows, column]


def planes_of(frame: av.VideoFrame) -> tuple[Array, ...]:
    """Views (H, W) of a frame's planes, without the padding of their rows."""
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)  # type: ignore[arg-type]
        views.append(rows[: plane.height, : plane.width])
    return tuple(views)


def hstack(frames: Sequence[Frame]) -> Array:
    """(H, W, 3) uint8 RGB: a copy of frames side by side."""
    return np.concatenate([frame.pixels[..., :3] for frame in frames], axis=1)
