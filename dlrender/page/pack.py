"""Arrays as short text in a page: rounded, predicted, split into bytes, deflated, and written in base64.

A landscape is smooth, so a cell is nearly what its neighbours to the left and above say: left + above − upper left (the
gradient predictor of PNG and JPEG-LS without its clipping; Weinberger, Seroussi & Sapiro 2000). What is left are small
integers, whose high bytes are mostly 0. The page undoes it in data.js, of which `unpack` is the twin.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dlscore.common.arrays import Array

NATS, PX, RAD = 1 / 64, 1 / 16, 1 / 4096  # quanta: what is shown is rounded to half of them
LEVELS = 1 << 16  # of a score without units that say how fine it need be
LARGEST = 2**30  # quanta: larger numbers would not fit
PLANES = 4  # bytes of a residual


class Packer:
    """An array (T, …) that comes in blocks of its first axis, in little memory.

    quantum: values are rounded to multiples of it. axes: along these, counted from the last, a value is predicted by its
    neighbours. None: values are float32, kept to the last bit, and may be nan.
    """

    def __init__(self, quantum: float | None, axes: Sequence[int] = ()) -> None:
        self.quantum, self.axes = quantum, tuple(axes)
        self._deflate = [zlib.compressobj(6) for _ in range(PLANES)]
        self._packed: list[list[bytes]] = [[] for _ in range(PLANES)]
        self._used = [False] * PLANES
        self._shape: tuple[int, ...] = (0,)

    def add(self, block: Array) -> None:
        """Append a block (B, …)."""
        self._shape = (self._shape[0] + len(block), *block.shape[1:])
        for k, plane in enumerate(_planes(_residuals(block, self.quantum, self.axes))):
            self._used[k] |= bool(plane.any())
            self._packed[k].append(self._deflate[k].compress(plane.tobytes()))

    def finish(self) -> dict[str, Any]:
        """`shape`, `quantum` (0 for floats), `axes`, and `planes`: base64 of each byte, the lowest first, "" where all are 0."""
        planes = [
            base64.b64encode(b"".join([*parts, deflate.flush()])).decode() if used else ""
            for parts, deflate, used in zip(self._packed, self._deflate, self._used, strict=True)
        ]
        return {"shape": list(self._shape), "quantum": self.quantum or 0, "axes": list(self.axes), "planes": planes}


def pack(blocks: Array | Iterable[Array], quantum: float | None, axes: Sequence[int] = ()) -> dict[str, Any]:
    """An array, or the blocks of one, as a Packer gives it."""
    packer = Packer(quantum, axes)
    for block in [blocks] if isinstance(blocks, np.ndarray) else blocks:
        packer.add(block)
    return packer.finish()


def unpack(packed: dict[str, Any]) -> Array:
    """The array again: what the page sees; float64 of rounded values, or float32."""
    shape = tuple(packed["shape"])
    residuals = np.zeros(int(np.prod(shape)), dtype=np.uint32)
    for k, plane in enumerate(packed["planes"]):
        if plane:
            found = np.frombuffer(zlib.decompress(base64.b64decode(plane)), dtype=np.uint8)
            residuals |= found.astype(np.uint32) << np.uint32(8 * k)
    if not packed["quantum"]:
        return residuals.view(np.float32).reshape(shape)
    whole = (residuals >> np.uint32(1)).view(np.int32) ^ -(residuals & np.uint32(1)).view(np.int32)
    whole = whole.reshape(shape)
    for axis in packed["axes"]:
        whole = np.cumsum(whole, axis=axis, dtype=np.int32)  # modulo 2³²
    values: Array = whole * packed["quantum"]
    return values


def quantum_of(units: str, low: float, high: float) -> float:
    """What scores from `low` to `high` are rounded to: 1/64 nat, 1/16 px, or 1/65536 of their range."""
    fine = NATS if units.startswith("nats") else PX if units == "px" else max((high - low) / LEVELS, 1e-12)
    return max(fine, max(abs(low), abs(high)) / LARGEST)


def _residuals(block: Array, quantum: float | None, axes: tuple[int, ...]) -> Array:
    # (n,) uint32: float32 as they are, or zigzag integers (0, -1, 1, -2 as 0, 1, 2, 3), so that small ones have high bytes 0.
    if quantum is None:
        return np.ascontiguousarray(block, dtype=np.float32).view(np.uint32).ravel()
    whole = np.rint(np.asarray(block, dtype=np.float64) / quantum).astype(np.int32)
    for axis in axes:
        whole = np.diff(whole, axis=axis, prepend=np.int32(0))  # modulo 2³², which sums undo
    zigzag: Array = ((whole << np.int32(1)) ^ (whole >> np.int32(31))).view(np.uint32).ravel()
    return zigzag


def _planes(residuals: Array) -> list[Array]:
    split = residuals.astype("<u4").view(np.uint8).reshape(-1, PLANES)
    return [np.ascontiguousarray(split[:, k]) for k in range(PLANES)]
