"""Finished rollouts in a folder beside the data set, one file each, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.cache import provenance
from dlscore.common.arrays import Array
from dlscore.common.files import atomic_path, remove
from dlscore.common.text import reason_of
from dlscore.rollout.act import Rollout
from dlscore.rollout.settings import RolloutError

__all__ = ["Kept", "part_folder"]

PARTS = ("state", "action", "reward", "success", "chunk", "entry")
SEEN = "seen/"  # before the name of an observation
NAMES = re.compile(r"\.?(identity\.json|seed_\d+_of_\d+_at_\d+\.npz)(\.part)?")  # of its files, and of unfinished ones


def part_folder(folder: Path) -> Path:
    """Where the rollouts of an unfinished data set are kept."""
    return folder.with_name(folder.name + ".part")


class Kept:
    """The rollouts that are done. identity: what decides their numbers, less the seeds.

    Raises RolloutError if the folder keeps rollouts of another identity, unless `force` removes them, and if it holds anything
    that is no rollout, which is never removed.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], force: bool = False) -> None:
        self._folder, note = folder, folder / "identity.json"
        _check_own(folder)
        if force:
            remove(folder)
        if note.is_file():
            try:
                stored = json.loads(note.read_text())
            except (OSError, ValueError) as error:
                raise RolloutError(f"{note} cannot be read ({reason_of(error)}); --force starts over") from error
            if difference := provenance.difference(stored, identity):
                raise RolloutError(
                    f"{folder} keeps rollouts of other settings ({difference}); --force starts over, another -o keeps both"
                )
            return
        with atomic_path(note, RolloutError) as part:
            part.write_text(json.dumps(dict(identity), indent=1, sort_keys=True) + "\n")

    def has(self, batch: tuple[int, ...]) -> bool:
        """Whether every rollout of a batch is there."""
        return all(self._file(batch, seed).is_file() for seed in batch)

    def save(self, batch: tuple[int, ...], runs: list[Rollout]) -> None:
        """Keep the rollouts of a batch, each whole or not at all."""
        for run in runs:
            arrays = {part: getattr(run, part) for part in PARTS}
            arrays |= {SEEN + name: values for name, values in run.observations.items()}
            with atomic_path(self._file(batch, run.seed), RolloutError) as part, part.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # names are those of arrays

    def load(self, batch: tuple[int, ...], seed: int) -> Rollout:
        """A rollout that is there; RolloutError if its file is damaged."""
        file = self._file(batch, seed)
        try:
            with np.load(file, allow_pickle=False) as stored:
                arrays: dict[str, Array] = {name: stored[name] for name in stored.files}
            seen = {name.removeprefix(SEEN): values for name, values in arrays.items() if name.startswith(SEEN)}
            state, action, reward, success, chunk, entry = (arrays[part] for part in PARTS)
            return Rollout(seed, state, action, reward, success, chunk, entry, seen)
        except Exception as error:  # numpy and zipfile raise many types for a damaged file
            raise RolloutError(
                f"{file} cannot be read ({reason_of(error)}); remove it, and the same command acts it again"
            ) from error

    def remove(self) -> None:
        """Remove all of it, when the data set is whole; RolloutError if something else has come to it."""
        _check_own(self._folder)
        remove(self._folder)

    def _file(self, batch: tuple[int, ...], seed: int) -> Path:
        # A rollout depends on the batch's first seed, which starts the noise, and on its place in the batch.
        return self._folder / f"seed_{seed}_of_{batch[0]}_at_{batch.index(seed)}.npz"


def _check_own(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RolloutError(f"{folder} is a file, and unfinished rollouts go there; move it, or choose another -o")
    others = sorted(each.name for each in folder.glob("*") if not (NAMES.fullmatch(each.name) and each.is_file()))
    if others:
        raise RolloutError(f"{folder} holds {others[0]}, which is no rollout; move it, or choose another -o")
