"""Steps of an episode that is longer than what is read ahead."""

import gc
import weakref

import numpy as np
import pytest
from support.known import gaussian, mixture_of, write_known

from dlrender.answers.ahead import LATEST, rng_of
from dlrender.answers.compare import find_steps
from dlrender.answers.steps import AHEAD, Episode
from dlrender.answers.table import step_table
from dlscore.cache import open_cache
from dlscore.density.censoring import spread_edges

LENGTH = 2 * AHEAD + 5
BOX = [[12.0, 12.0], [500.0, 500.0]]


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Actions go along the left edge of a box, one step in four on it."""
    actions = np.stack([np.where(np.arange(LENGTH) % 4, 20.0, 12.0), 100 + 8.0 * np.arange(LENGTH)], axis=1)
    mixtures = [mixture_of([(0.5, [14, y], 9), (0.5, [60, y + 5], 20)], BOX) for _, y in actions]
    return write_known(tmp_path_factory.mktemp("long") / "episode_000.h5", mixtures, actions=actions)


def test_what_was_asked_of_a_step_stays_when_its_file_is_closed(long):
    pairs = find_steps([long], [long], ("synthetic", 0))
    assert [p.number for p, _ in pairs] == list(range(LENGTH))
    for p, q in pairs:
        assert p.mixture.mean.shape == q.mixture.mean.shape
        np.testing.assert_array_equal(p.points.point, q.points.point)


def test_the_densities_of_a_step_are_those_of_its_mixture_whatever_is_read_with_it(long):
    with open_cache(long) as cache:
        for step in Episode(cache, "likelihood").steps():
            rows = np.arange(max(0, step.row - LATEST), min(LENGTH, step.row + LATEST + 1))
            actions = spread_edges(cache.expert_action[rows].astype(float), np.array(BOX), rng_of(cache, step.row, 3))
            assert list(step.log_densities) == rows.tolist()
            np.testing.assert_allclose(list(step.log_densities.values()), step.mixture.log_density(actions), atol=1e-4)


def test_a_closed_cache_is_freed(long):
    gc.collect()
    gc.disable()
    try:
        with open_cache(long) as cache:
            step_table(cache)
        left = weakref.ref(cache)
        del cache
        assert left() is None
    finally:
        gc.enable()


def test_steps_are_the_same_in_any_order(tmp_path):
    path = write_known(tmp_path / "episode_000.h5", [gaussian([200 + k, 250], 10 + k) for k in range(LENGTH)])
    with open_cache(path) as cache:
        forward = [step.points.entropy for step in Episode(cache, "likelihood").steps()]
        steps = list(Episode(cache, "likelihood").steps())
        assert [step.points.entropy for step in steps[::-1]] == forward[::-1]
