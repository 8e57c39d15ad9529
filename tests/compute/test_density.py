"""The density itself is computed, stored, resumed and extended with the scores, and what it is worth is told."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.mixed import Mixed
from support.runs import Stop, assert_same, stop

from dlscore.cache.reader import open_cache
from dlscore.cache.summary import read_densities, summarize
from dlscore.cache.verify import verify
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.compute.settings import Settings
from dlscore.density.cells import log_cell_density
from dlscore.scores.base import ScorerError
from dlscore.scores.distance import Distance

SETTINGS = Settings((Mixed(), Distance()), resolution=8, max_steps=14, chunks=4)


@pytest.fixture
def run(policy, dataset):
    return Run(policy, dataset, SETTINGS)


@pytest.fixture
def whole(run, tmp_path):
    path = tmp_path / "whole.h5"
    compute_episode(run, 0, path)
    return path


def test_the_scores_are_those_of_the_mixture_in_the_file(whole):
    with open_cache(whole) as cache:
        for step in (0, 13):
            stored = cache.mixture("mixed", step)
            scores = log_cell_density(stored, cache.grid)
            np.testing.assert_array_equal(scores.astype(np.float32), cache.score("mixed", step))
            inside = np.exp(scores).sum() * cache.grid.cell_area
            assert cache.checks("mixed")["inside"][step] == pytest.approx(min(1, inside), abs=1e-6)
        assert sorted(cache.checks("mixed")) == ["error", "inside"]
        assert cache.own_ranks("mixed").shape == (14, 4)
        np.testing.assert_allclose(cache.denoised_chunks("mixed", 3), cache.predicted_chunks[3, :2], atol=1 / 32)
        assert cache.score_attrs("mixed")["density"] == "executed"
    verify(whole)


def test_a_resumed_run_gives_the_same_file(run, whole, tmp_path):
    path = tmp_path / "episode_000.h5"
    with pytest.raises(Stop):
        compute_episode(run, 0, path, progress=stop)
    assert compute_episode(run, 0, path).state == "resumed"
    assert_same(path, whole)


def test_a_method_that_is_added_gives_the_same_density(run, policy, dataset, whole, tmp_path):
    path = tmp_path / "episode_000.h5"
    compute_episode(Run(policy, dataset, replace(SETTINGS, scorers=(Distance(),))), 0, path)
    assert compute_episode(run, 0, path).state == "extended"
    with open_cache(path) as cache, open_cache(whole) as other:
        for step in range(cache.steps):
            np.testing.assert_array_equal(cache.mixture("mixed", step).mean, other.mixture("mixed", step).mean)
        np.testing.assert_array_equal(cache.own_ranks("mixed"), other.own_ranks("mixed"))


@dataclass(frozen=True)
class Unrounded(Mixed):
    """Values that are not those of the mixture as it is stored."""

    def score(self, policy, conditioning, chunks, grid, seed):
        found = super().score(policy, conditioning, chunks, grid, seed)
        exact = [replace(each, mean=each.mean + 1 / 3) for each in found.mixtures]
        return replace(found, mixtures=exact, values=np.stack([log_cell_density(each, grid) for each in exact]))


def test_a_scorer_that_does_not_round_is_scored_as_it_is_stored(policy, dataset, tmp_path):
    path = tmp_path / "episode_000.h5"
    compute_episode(Run(policy, dataset, replace(SETTINGS, scorers=(Unrounded(),), max_steps=2)), 0, path)
    with open_cache(path) as cache:
        scores = log_cell_density(cache.mixture("mixed", 1), cache.grid)
        np.testing.assert_array_equal(scores.astype(np.float32), cache.score("mixed", 1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda found: {"mixtures": None}, "returned 0 mixtures"),
        (lambda found: {"mixtures": found.mixtures[:1]}, "returned 1 mixtures"),
        (lambda found: {"mixtures": [replace(each, box=None) for each in found.mixtures]}, "of another box"),
        (lambda found: {"denoised": None}, r"denoised chunks of shape \(0,\); its layout says 2 a step"),
        (lambda found: {"checks": {}}, r"checks \[\]; it must return"),
    ],
)
def test_scores_that_break_their_layout_are_refused(policy, dataset, tmp_path, changed, message):
    @dataclass(frozen=True)
    class Broken(Mixed):
        def score(self, policy, conditioning, chunks, grid, seed):
            found = super().score(policy, conditioning, chunks, grid, seed)
            return replace(found, **changed(found))

    with pytest.raises(ScorerError, match=message):
        compute_episode(
            Run(policy, dataset, replace(SETTINGS, scorers=(Broken(),), max_steps=2)), 0, tmp_path / "episode_000.h5"
        )


def test_what_the_density_is_worth_is_summarised(whole):
    found = read_densities(whole)["mixed"]
    assert found["density"] == "executed"
    assert 0 < found["error"]["median"] <= found["error"]["largest"] < 0.15
    assert found["error"]["steps"] == 0
    assert found["calibration"]["draws"] == 4
    assert found["calibration"]["mean_rank"]["interval"] is None  # of 14 steps
    assert summarize(whole)["densities"]["mixed"] == found
