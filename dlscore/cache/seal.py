"""The last line of a cache file: its length and CRC-32, so that damage is found before HDF5 reads it.

HDF5 ignores what follows its own data, and truncates it when a program changes the file. So a file that was damaged on
disk or in transfer has a wrong seal, and one that another program has changed has none.
"""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO

PATTERN = re.compile(rb"\ndlscore seal: ([0-9a-f]{8}) of ([0-9]{15}) bytes\n")
LENGTH = len(b"\ndlscore seal: 00000000 of 000000000000000 bytes\n")


def add(path: Path) -> None:
    """Seal a file that has no seal, and flush it to disk."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        crc = _crc(file, size)
        file.seek(size)
        file.write(f"\ndlscore seal: {crc:08x} of {size:015d} bytes\n".encode())
        file.flush()
        os.fsync(file.fileno())


def strip(path: Path) -> None:
    """Remove the seal, if there is one."""
    with path.open("r+b") as file:
        if seal := _read(file):
            file.truncate(seal[1])


def state(path: Path) -> str:
    """`whole`, `damaged`, or `none` where the file has no seal."""
    with path.open("rb") as file:
        seal = _read(file)
        if seal is None:
            return "none"
        crc, size = seal
        whole = file.seek(0, os.SEEK_END) == size + LENGTH and _crc(file, size) == crc
        return "whole" if whole else "damaged"


def _read(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(max(0, file.seek(0, os.SEEK_END) - LENGTH))
    found = PATTERN.fullmatch(file.read())
    return (int(found[1], 16), int(found[2])) if found else None


def _crc(file: BinaryIO, size: int) -> int:
    file.seek(0)
    crc = 0
    while size > 0 and (block := file.read(min(size, 1 << 20))):
        crc, size = zlib.crc32(block, crc), size - len(block)
    return crc
