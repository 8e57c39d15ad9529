"""A checkpoint that was found, as a family loads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """The `folder`; the `name` it was asked by; its resolved `revision`; the SHA-256 `fingerprint` of its files; its
    `config`.json, checked; and the `device` and `batch_size` to load it with."""

    folder: Path
    name: str
    revision: str
    fingerprint: str
    config: Mapping[str, Any]
    device: torch.device
    batch_size: int
