"""Who made a cache: package versions, git revision, and the settings with their SHA-256 key."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("dlscore", "torch", "lerobot", "diffusers", "gym-pusht", "pymunk", "numpy", "scipy", "h5py")


def versions() -> dict[str, str]:
    """Installed versions of the packages that scores depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_revision() -> str:
    """Git revision of the source tree that runs, with `-dirty` if changed, or "" for an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # installed: a repository further up is another project's
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def command_line() -> str:
    """The command that runs, as a shell would take it; without the folder of the program."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def settings_key(settings: Mapping[str, Any]) -> str:
    """SHA-256 of the settings as canonical JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The settings that differ, `name: stored -> wanted`, or "" where none does."""
    names = [name for name in {**stored, **wanted} if stored.get(name) != wanted.get(name)]
    return ", ".join(f"{name}: {_short(stored.get(name))} -> {_short(wanted.get(name))}" for name in names)


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 60 else text[:57] + "..."
