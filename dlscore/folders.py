"""Whether files can be made in a folder, answered before any work and without making anything."""

import os
from pathlib import Path

from dlscore.errors import UserError


def nearest_folder(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    return existing


def check_writable(folder: Path, error: type[UserError], option: str = "--output-dir") -> None:
    """Raise `error` if files cannot be made in the folder of `option`, which need not exist yet; nothing is made."""
    existing = nearest_folder(folder)
    if not existing.is_dir():
        raise error(f"{option} {folder} cannot be a folder: {existing} is a file; choose another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise error(f"{option} {folder} cannot be written ({existing} is read-only); choose another")
