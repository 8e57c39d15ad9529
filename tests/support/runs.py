"""Settings that are quick to score, runs that stop, and what it means that two caches are the same."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from dlscore.cache import checksums
from dlscore.cache.checksums import number_arrays
from dlscore.cache.reader import open_cache
from dlscore.compute.settings import BLOCK_STEPS, Settings
from dlscore.scores.methods import make_scorers

# The sampler of the quick policy takes five steps, too few for --density executed.
QUICK = {"density": "model", "samples": 16, "steps": 3, "finest": 0}


def make_settings(methods: Mapping[str, Mapping[str, object]], **changes) -> Settings:
    """Settings whose scorers are given as on the command line: by name, with settings of their own."""
    return Settings(tuple(make_scorers(methods).values()), **changes)


def with_methods(settings: Settings, methods: Mapping[str, Mapping[str, object]], **changes) -> Settings:
    """The settings with other methods."""
    return replace(settings, scorers=tuple(make_scorers(methods).values()), **changes)


def only(settings: Settings, names: Iterable[str]) -> Settings:
    """The settings with only some of their methods."""
    return replace(settings, scorers=tuple(scorer for scorer in settings.scorers if scorer.name in names))


ALL = make_settings(
    {"likelihood": QUICK, "distance": {}, "noise_pred": {"levels": 2}}, resolution=8, max_steps=14, chunks=2
)


def everything(path: Path) -> dict[str, np.ndarray]:
    """Every array of numbers in a cache."""
    with h5py.File(path) as file:
        return {array.name: array[:] for array in number_arrays(file)}


def assert_same(one: Path, two: Path) -> None:
    """Two caches hold the same numbers to the last bit, and say the same of themselves but for time."""
    first, second = everything(one), everything(two)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    with open_cache(one) as first, open_cache(two) as second:
        own = {"created_at", "wall_time_s", "command", "threads", "git_revision", checksums.ATTRIBUTES}  # of each run
        assert {k: v for k, v in first.attrs.items() if k not in own} == {
            k: v for k, v in second.attrs.items() if k not in own
        }


class Stop(Exception):
    """What ends a run in the middle."""


def stop(done: int, steps: int) -> None:
    """A `progress` that ends a run after its first block."""
    if done >= BLOCK_STEPS:
        raise Stop


def flat(options: Mapping[str, object]) -> list[object]:
    """{"seed": 1} as --seed 1."""
    return [item for name, value in options.items() for item in (f"--{name}", value)]


def fail_at(monkeypatch, *episodes: int, error: Exception | None = None) -> None:
    """The network gives NaN (or raises) in these episodes."""
    from dlscore.compute import episode

    original = episode._draw_chunks

    def drawn(run, episode, *rest):
        chunks = original(run, episode, *rest)
        if episode.index in episodes:
            if error is not None:
                raise error
            chunks[0] = float("nan")
        return chunks

    monkeypatch.setattr(episode, "_draw_chunks", drawn)
