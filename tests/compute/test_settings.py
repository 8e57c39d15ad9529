"""Settings that cannot be are refused where they are made, each with the option's name."""

from pathlib import Path

import pytest

from dlscore.compute.settings import OBSERVATIONS, Options, RequestError, Settings, episode_path
from dlscore.episodes.replay import MODES
from dlscore.grid import GridError
from dlscore.scores.distance import Distance
from dlscore.scores.likelihood import Likelihood


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chunks": 0}, "--chunks 0 is not allowed; it must be at least 1"),
        ({"max_steps": 0}, "--max-steps 0 is not allowed; it must be at least 1"),
        ({"seed": -1}, "--seed -1 is not allowed; it must be at least 0"),
        ({"scorers": ()}, "the scoring methods none is not allowed; it must be one or more, each once"),
        (
            {"scorers": (Distance(), Likelihood(), Distance())},
            "the scoring methods distance, likelihood, distance is not allowed; it must be one or more, each once",
        ),
        ({"replay": "dreams"}, "invalid value 'dreams' for --replay; choose from actions, states"),
        ({"replay": "action"}, "invalid value 'action' for --replay; did you mean actions? choose from"),
        ({"observations": "dreams"}, "invalid value 'dreams' for --observations; choose from recorded, replayed"),
    ],
)
def test_what_is_not_allowed_is_named(changes, words):
    with pytest.raises(RequestError) as error:
        Settings(**changes)
    assert words in str(error.value)


@pytest.mark.parametrize("resolution", [1, 1025, 0, -3])
def test_a_grid_too_coarse_or_too_fine_is_refused(resolution):
    with pytest.raises(GridError, match=f"--action-resolution {resolution} is not allowed; choose 2 to 1024"):
        Settings(resolution=resolution)


def test_whatever_is_allowed_is_accepted():
    for replay in MODES:
        for observations in OBSERVATIONS:
            Settings(replay=replay, observations=observations)
    assert Settings().scorers == (Likelihood(),)


def test_steps_are_the_episodes_unless_fewer_are_asked_for():
    assert Settings().count_steps(24) == 24
    assert Settings(max_steps=14).count_steps(24) == 14
    assert Settings(max_steps=99).count_steps(24) == 24


def test_force_and_replace_stale_rewrite():
    assert [Options().rewrites, Options(force=True).rewrites, Options(replace_stale=True).rewrites] == [0, 1, 1]


def test_caches_are_named_by_episode():
    assert [episode_path(Path("a"), index).name for index in (0, 42, 1234)] == [
        "episode_000.h5", "episode_042.h5", "episode_1234.h5",
    ]  # fmt: skip
