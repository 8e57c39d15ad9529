"""Scores against policies whose density is known."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from support import ROOT

from dlscore.certify import certify, mixtures
from dlscore.certify.certify import choose_densities, choose_mixtures
from dlscore.certify.errors import CertifyError
from dlscore.certify.summary import summarise
from dlscore.grid import Grid
from dlscore.scores.base import ScorerError, Scores
from dlscore.scores.likelihood import Likelihood, choose_quality
from dlscore.scores.methods import name_scorers

GRID = Grid(50)
BY_NAME = {each.name: each for each in mixtures.MIXTURES}


class Exact:
    """A scorer that knows what the network models, moved by some cells."""

    name, kind, checks = "exact", "log_density", ()

    def __init__(self, mixture, moved=0):
        self.mixture, self.moved = mixture, moved

    def score(self, policy, conditioning, chunks, grid, seed):
        log_density = self.mixture.log_masses(policy, grid) - np.log(grid.cell_area)
        return Scores(np.roll(log_density, self.moved, axis=1)[None])


@dataclass(frozen=True)
class Told:
    """A scorer of one Gaussian for either density, wrong by `told` and so on; `seen` lists the densities asked for."""

    told: float = 0.01
    density: str = "executed"
    finest: int = 0

    name: ClassVar[str] = "told"
    kind: ClassVar[str] = "log_density"
    checks: ClassVar[tuple[str, ...]] = ("error",)
    seen: ClassVar[list[str]] = []

    def score(self, policy, conditioning, chunks, grid, seed):
        if len(policy.alphas_cumprod) < self.finest:
            raise ScorerError("too coarse")
        self.seen.append(self.density)
        width = 50.0 if self.density == "executed" else 52.0
        squared = ((grid.actions - policy.to_px([0.1, -0.2])) ** 2).sum(axis=-1)
        log_density = -squared / (2 * width**2) - np.log(2 * np.pi * width**2)
        return Scores(log_density[None], {"error": np.array([self.told * (1 + seed)])})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "four unequal", "banana"])
def test_the_truth_is_perfect_and_a_moved_one_is_not(name):
    mixture = BY_NAME[name]
    case = certify.make_case(mixture, GRID, densities=("model",))
    perfect = certify.evaluate("exact", Exact(mixture), case, 0, GRID)[0][0]
    assert (perfect.tv, perfect.kl) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    assert (perfect.hdr95_iou, perfect.modes_found) == (1, 1)
    assert perfect.spearman == pytest.approx(1)
    assert perfect.coverage90 == pytest.approx(0.9)
    moved = certify.evaluate("exact", Exact(mixture, 12), case, 0, GRID)[0][0]
    assert moved.tv > 0.3
    assert moved.kl > 1
    assert moved.hdr95_iou < 0.6
    assert moved.coverage90 < 0.8
    assert moved.spearman < 0.95
    assert moved.modes_found < 1


def test_what_the_network_models_is_not_what_its_sampler_executes(tmp_path):
    # Ten steps of DDIM make one Gaussian about a quarter narrower, known exactly, and four modes too, counted.
    one, four = BY_NAME["one"], BY_NAME["four"]
    case = certify.make_case(one, GRID, schedule="ddim-10-steps", folder=tmp_path)
    executed, model = (result for result, _ in certify.evaluate("exact", Exact(one), case, 0, GRID))
    assert (executed.density, model.density) == ("executed", "model")
    assert (executed.noise, model.tv) == (0, pytest.approx(0, abs=1e-12))
    assert executed.tv > 0.1
    case = certify.make_case(four, GRID, schedule="ddim-10-steps", folder=tmp_path)
    counted = certify.evaluate("exact", Exact(four), case, 0, GRID)[0][0]
    assert 0 < counted.noise < 0.03
    assert 0.05 < counted.tv < 0.4
    assert np.isfinite([counted.kl, counted.spearman, counted.hdr95_iou]).all()
    assert counted.modes_found == 1


def test_a_scorer_computes_the_density_that_it_is_compared_with():
    Told.seen.clear()
    results = certify.certify(
        {"told": Told()}, mixtures=choose_mixtures("one wide"), schedules=("cosine-unclipped",), seeds=(0, 1, 2)
    )
    assert Told.seen == ["executed", "model"] * 3
    executed, model = summarise(results, {"told": Told()})
    assert (executed["density"], model["density"]) == ("executed", "model")
    assert executed["tv_mean"] != model["tv_mean"]
    assert executed["checks"] == {"error": pytest.approx(0.02)}
    assert executed["error_factor_max"] == pytest.approx(max(executed["tv_mean"] / 0.01, 0.03 / executed["tv_mean"]))
    assert executed["error_rank"] is None  # the same estimate each time


def test_a_schedule_may_be_refused(tmp_path):
    said = []
    options = {"mixtures": choose_mixtures("one,one narrow"), "schedules": ("cosine-50", "cosine"), "seeds": (0,),
               "densities": ("model",)}  # fmt: skip
    results = certify.certify({"told": Told(finest=60)}, **options, refused=said.append)
    assert said == ["told under --schedule cosine-50: too coarse"]
    assert {result.schedule for result in results} == {"cosine"}
    with pytest.raises(ScorerError, match="too coarse"):
        certify.certify({"told": Told(finest=60)}, **options)


@pytest.mark.slow
def test_rows_summarise_policies_and_seeds():
    scorers = {"likelihood, draft": Likelihood(**choose_quality("draft"))}
    results = certify.certify(
        scorers, mixtures=choose_mixtures("one,two"), densities=("model",), seeds=(0, 1), resolution=30
    )
    (row,) = summarise(results, scorers)
    assert row["evaluations"] == results[0].evaluations > 0
    assert (row["policies"], row["seeds"], row["set"]) == (2, 2, "fixed")
    assert row["tv_mean"] == pytest.approx(np.mean([result.tv for result in results]))
    assert row["tv_max_policy"] in ("one", "two")
    assert row["tv_mean"] <= row["tv_max"] < 0.2
    assert row["modes_found"] == 1


def test_densities_are_chosen_by_name():
    assert choose_densities("both") == ("executed", "model")
    assert choose_densities("model") == ("model",)
    with pytest.raises(CertifyError, match="invalid value 'true' for --density"):
        choose_densities("true")


@pytest.mark.slow
def test_noise_pred_ranks_better_than_the_published_one():
    import sys

    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    from published import PublishedNoisePrediction, SampleDensity

    scorers = name_scorers(["noise_pred"], [], {"noise_pred": {"levels": 9}}) | {
        "published": PublishedNoisePrediction(),
        "kde": SampleDensity(samples=64),
    }
    results = certify.certify(
        scorers, mixtures=choose_mixtures("one,three"), densities=("model",), seeds=(0,), resolution=25
    )
    ours, theirs, kde = summarise(results, scorers)
    assert ours["evaluations"] == 10 * 25**2
    assert ours["tv_mean"] < theirs["tv_mean"] / 2
    assert kde["evaluations"] == 6400
    assert kde["tv_mean"] < 0.5
