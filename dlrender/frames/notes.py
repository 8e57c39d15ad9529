"""What a video says of itself: a JSON note in the metadata of every format, so that the file knows how it was drawn.

mp4 and png have fields for it. The encoders of gif and webp write none, so it is added to the complete file: as a comment
extension of GIF89a, and as the XMP chunk of WebP's extended format.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
from PIL import Image

GIF_HEADER, GIF_BLOCK = 13, 255  # bytes
XMP_FLAG = 0x04  # in the first byte of the chunk VP8X


def format_note(note: Mapping[str, Any]) -> str:
    """The note as text, the same for equal notes."""
    return json.dumps(note, sort_keys=True)


def add_note(path: Path, kind: str, note: Mapping[str, Any]) -> None:
    """Add the note to a complete file of a kind whose encoder writes none; the other kinds have it already."""
    if kind in ADDERS:
        path.write_bytes(ADDERS[kind](path.read_bytes(), format_note(note).encode()))


def read_note(path: Path) -> dict[str, Any]:
    """The note of a video, or of a folder of png; {} if it has none, whatever the file is."""
    try:
        text = _read_mp4(path) if path.suffix == ".mp4" else _read_picture(path)
        note = json.loads(text)
    except (
        OSError,
        ValueError,
        SyntaxError,
        av.FFmpegError,
        Image.DecompressionBombError,
    ):  # SyntaxError: a broken png's
        return {}
    return note if isinstance(note, dict) else {}


def _read_mp4(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.metadata.get("comment", ""))


def _read_picture(path: Path) -> str | bytes:
    picture = path if path.suffix else path / "0000.png"
    with Image.open(picture) as image:
        found: str | bytes = image.info.get("comment") or image.info.get("xmp") or image.info.get("Comment", "")
        return found


def _into_gif(data: bytes, note: bytes) -> bytes:
    flags = data[10]
    start = GIF_HEADER + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)  # after the palette
    blocks = [note[k : k + GIF_BLOCK] for k in range(0, len(note), GIF_BLOCK)]
    extension = b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    return data[:start] + extension + data[start:]


def _into_webp(data: bytes, note: bytes) -> bytes:
    if data[12:16] != b"VP8X":  # a single frame, which has no room for metadata
        return data
    chunk = b"XMP " + struct.pack("<I", len(note)) + note + b"\0" * (len(note) % 2)
    body = data[8:20] + bytes([data[20] | XMP_FLAG]) + data[21:] + chunk
    return data[:4] + struct.pack("<I", len(body)) + body


ADDERS = {"gif": _into_gif, "webp": _into_webp}
