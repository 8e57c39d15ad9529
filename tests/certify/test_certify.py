"""Scores against policies whose density is known."""

import numpy as np
import pytest
from support import ROOT

from dlscore.certify import certify, mixtures
from dlscore.certify.certify import choose_mixtures
from dlscore.grid import Grid
from dlscore.scores.base import Scores
from dlscore.scores.likelihood import Likelihood
from dlscore.scores.methods import name_scorers

GRID = Grid(50)
BY_NAME = {each.name: each for each in mixtures.MIXTURES}


class Exact:
    """A scorer that knows the truth, moved by some cells."""

    name, kind, checks = "exact", "log_density", ()

    def __init__(self, mixture, moved=0):
        self.mixture, self.moved = mixture, moved

    def score(self, policy, conditioning, chunks, grid, seed):
        log_density = self.mixture.log_masses(policy, grid) - np.log(grid.cell_area)
        return Scores(np.roll(log_density, self.moved, axis=1)[None])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "four unequal", "banana"])
def test_the_truth_is_perfect_and_a_moved_one_is_not(name):
    mixture = BY_NAME[name]
    perfect = certify.evaluate("exact", Exact(mixture), mixture, 0, GRID)[0]
    assert (perfect.tv, perfect.kl) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    assert (perfect.hdr95_iou, perfect.modes_found) == (1, 1)
    assert perfect.spearman == pytest.approx(1)
    assert perfect.coverage90 == pytest.approx(0.9)
    moved = certify.evaluate("exact", Exact(mixture, 12), mixture, 0, GRID)[0]
    assert moved.tv > 0.3
    assert moved.kl > 1
    assert moved.hdr95_iou < 0.6
    assert moved.coverage90 < 0.8
    assert moved.spearman < 0.95
    assert moved.modes_found < 1


@pytest.mark.slow
def test_rows_summarise_policies_and_seeds():
    scorers = {"likelihood, draft": Likelihood(64, 5, 12)}
    results = certify.certify(scorers, mixtures=choose_mixtures("one,two"), seeds=(0, 1), resolution=30)
    (row,) = certify.summarise(results, scorers)
    assert row["evaluations"] == 608
    assert (row["policies"], row["seeds"]) == (2, 2)
    assert row["tv_mean"] == pytest.approx(np.mean([result.tv for result in results]))
    assert row["tv_max_policy"] in ("one", "two")
    assert row["tv_mean"] <= row["tv_max"] < 0.2
    assert row["modes_found"] == 1


@pytest.mark.slow
def test_noise_pred_ranks_better_than_the_published_one():
    import sys

    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    from published import PublishedNoisePrediction, SampleDensity

    scorers = name_scorers(["noise_pred"], [], {"noise_pred": {"levels": 9}}) | {
        "published": PublishedNoisePrediction(),
        "kde": SampleDensity(samples=64),
    }
    results = certify.certify(scorers, mixtures=choose_mixtures("one,three"), seeds=(0,), resolution=25)
    ours, theirs, kde = certify.summarise(results, scorers)
    assert ours["evaluations"] == 10 * 25**2
    assert ours["tv_mean"] < theirs["tv_mean"] / 2
    assert kde["evaluations"] == 6400
    assert kde["tv_mean"] < 0.5
