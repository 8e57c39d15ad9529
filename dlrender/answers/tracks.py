"""Modes over an episode: which mode of a step is which of the step before, how long each lasts, and where there is a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.columns import GATE
from dlrender.answers.modes import Mode
from dlrender.answers.steps import Episode
from dlrender.answers.table import density_of
from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.arrays import Array

LOST = 3  # steps without a mode after which its track has ended


@dataclass(frozen=True)
class Track:
    """One mode through an episode: steps (n,), x, y [px], mass and prominence [nats] there, (n,) each."""

    steps: Array
    x: Array
    y: Array
    mass: Array
    prominence: Array


@dataclass(frozen=True)
class Tracks:
    """The tracks of an episode, in the order in which they begin.

    time: (T,) s of each step; names: for each step the track of each of its modes, that of the largest mass first, or None
    where modes cannot be told.
    """

    episode: int
    time: Array
    tracks: Sequence[Track]
    names: Sequence[Sequence[int] | None]

    @property
    def switches(self) -> list[int]:
        """The steps at which the main mode is of another track than at the last step before where it can be told."""
        main = [(step, names[0]) for step, names in enumerate(self.names) if names]
        return [step for (_, old), (step, new) in pairwise(main) if old != new]

    @property
    def choices(self) -> list[tuple[int, int, int | None]]:
        """First and last step of each span with more than one mode, and the track that is left after it, if one is."""
        told = [(step, names) for step, names in enumerate(self.names) if names]
        found: list[tuple[int, int, int | None]] = []
        open_ = False
        for step, names in told:
            if len(names) > 1:
                found = [*found[:-1], (found[-1][0], step, None)] if open_ else [*found, (step, step, None)]
            elif open_:
                found[-1] = (*found[-1][:2], names[0])
            open_ = len(names) > 1
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON. `lasts` and times in s; `kept` is the number of the track that a choice ends with."""
        step = float(np.median(np.diff(self.time))) if len(self.time) > 1 else 0.0
        return {
            "episode": self.episode,
            "told": sum(names is not None for names in self.names),
            "tracks": [
                {"first": int(each.steps[0]), "last": int(each.steps[-1]), "mass": float(each.mass.mean()),
                 "prominence": float(each.prominence.mean()), "lasts": float(each.steps[-1] - each.steps[0] + 1) * step}
                for each in self.tracks
            ],
            "switches": self.switches,
            "choices": [{"first": a, "last": b, "lasts": (b - a + 1) * step, "kept": kept} for a, b, kept in self.choices],
        }  # fmt: skip


def read_tracks(cache: EpisodeCache | str | Path, method: str | None = None) -> Tracks:
    """The tracks of a cache, open or by its path; RenderError where not each step is scored."""
    if not isinstance(cache, EpisodeCache):
        with open_cache(cache) as opened:
            return read_tracks(opened, method)
    if cache.every > 1:
        raise RenderError(
            f"{cache.path} has 1 in {cache.every} steps, between which a mode cannot be followed; score each step, or name "
            "one with --step"
        )
    found = [step.modes for step in Episode(cache, density_of(cache, method)).steps()]
    return link(found, cache.episode, np.asarray(cache.time))


def link(modes: Sequence[list[Mode] | None], episode: int, time: Array) -> Tracks:
    """Tracks of the modes of each step (None where they cannot be told).

    The nearest pairs of an old and a new mode are the same, one after another, if they are no farther apart than GATE for each
    step between; a track without a mode for more than LOST steps has ended.
    """
    ends: list[tuple[int, Mode]] = []  # by track: its last step and mode
    names: list[list[int] | None] = []
    members: list[list[tuple[int, Mode]]] = []
    for step, here in enumerate(modes):
        names.append(None if here is None else _matched(here, ends, step))
        for name, mode in zip(names[-1] or [], here or [], strict=True):
            if name == len(members):
                members.append([])
                ends.append((step, mode))
            members[name].append((step, mode))
            ends[name] = step, mode
    return Tracks(episode, time, [_track(each) for each in members], names)


def _matched(here: list[Mode], ends: Sequence[tuple[int, Mode]], step: int) -> list[int]:
    # The track of each mode; numbers beyond those of `ends` are new tracks, in order.
    pairs = sorted(
        (float(np.hypot(mode.x - old.x, mode.y - old.y)), k, name)
        for k, mode in enumerate(here)
        for name, (last, old) in enumerate(ends)
        if step - last <= LOST
    )
    found: dict[int, int] = {}
    for away, k, name in pairs:
        if k not in found and name not in found.values() and away <= GATE * (step - ends[name][0]):
            found[k] = name
    new = len(ends)
    for k in range(len(here)):
        if k not in found:
            found[k], new = new, new + 1
    return [found[k] for k in range(len(here))]


def _track(members: Sequence[tuple[int, Mode]]) -> Track:
    columns = ([getattr(mode, name) for _, mode in members] for name in ("x", "y", "mass", "prominence"))
    return Track(np.array([step for step, _ in members]), *(np.array(each) for each in columns))
