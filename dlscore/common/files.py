"""Files and folders: is a folder writable, and files that get their name only when they are complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dlscore.common.errors import UserError


def follow_link(path: Path) -> Path:
    """Where a link leads, also a dangling one, so that writing keeps the link; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def part_of(path: Path) -> Path:
    """Where an unfinished file is written: in the same folder, so that the final rename is atomic."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def atomic_path(path: Path, error: type[UserError]) -> Iterator[Path]:
    """Yield a temporary path for a file or a folder, which is renamed to `path` on success and removed on failure.

    Raises `error` where the system refuses to write.
    """
    path = follow_link(path)
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(part)
        yield part
        if path.is_dir() and part.is_dir():  # a folder of pictures is not replaced by a rename
            remove(path)
        part.replace(path)
    except OSError as cause:
        raise error(f"cannot write {path} ({cause.strerror or cause}); choose another folder") from cause
    finally:
        with suppress(OSError):  # already renamed, or never written
            remove(part)


def remove(path: Path) -> None:
    """Remove a file, or a folder and its contents, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def nearest_folder(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    return existing


def check_writable(folder: Path, error: type[UserError], option: str = "--output-dir") -> None:
    """Raise `error` if no file can be created in the folder given to `option`. It need not exist; nothing is created."""
    existing = nearest_folder(folder)
    if not existing.is_dir():
        raise error(f"{option} {folder} cannot be a folder: {existing} is a file; choose another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise error(f"{option} {folder} cannot be written ({existing} is read-only); choose another")
