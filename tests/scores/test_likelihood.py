"""`likelihood` is the known density of analytic policies, and says how far it may be off."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures
from dlscore.certify.executed import Truth, count_draws, executed_mixture
from dlscore.certify.metrics import above_noise, total_variation
from dlscore.certify.own_draws import draw_actions
from dlscore.grid import Grid
from dlscore.policy.sampler_steps import sampler_steps
from dlscore.scores import start
from dlscore.scores.base import ScorerError, score_attributes
from dlscore.scores.error import DISTANCES
from dlscore.scores.likelihood import QUALITIES, Likelihood, choose_quality

CHUNKS = np.empty(0)  # likelihood looks at no drawn chunk
BY_NAME = {each.name: each for each in mixtures.MIXTURES}
GRID = Grid(50)
DRAWS = 8_192


def score(name, scorer, schedule="cosine", grid=GRID, seed=0, **changes):
    """(estimated masses, scores, policy)"""
    policy = analytic_policy.make_policy(BY_NAME[name], schedule, **changes)
    scores = scorer.score(policy, analytic_policy.encode_observation(policy), CHUNKS, grid, seed)
    return np.exp(scores.values[0]) * grid.cell_area, scores, policy


def sampler_of(policy):
    return sampler_steps(policy.scheduler, policy.sampler_steps)


def find_truth(name, density, policy, grid=GRID):
    """Exact of what is modelled and of one Gaussian that is not clipped, else counted."""
    mixture = BY_NAME[name]
    if density == "model":
        return Truth(mixture.log_masses(policy, grid))
    if len(mixture.weights) == 1 and sampler_of(policy).clip is None:
        return Truth(executed_mixture(mixture, sampler_of(policy)).log_masses(policy, grid))
    return count_draws(policy.to_px(draw_actions(mixture, sampler_of(policy), DRAWS, 0)), grid)


def distance(masses, truth):
    return above_noise(total_variation(masses, np.exp(truth.log_masses)), truth.noise)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("one", 0.01),
        ("one half a cell wide", 0.01),
        ("one wide", 0.02),
        ("two unequal", 0.03),
        ("two parallel narrow", 0.05),  # its modes run together at the coarse level alone
        ("four unequal", 0.06),
        ("banana", 0.06),
    ],
)
def test_the_model_density_is_the_known_one(name, limit):
    masses, _, policy = score(name, Likelihood("model"))
    truth = find_truth(name, "model", policy)
    assert distance(masses, truth) < limit
    assert masses.sum() == pytest.approx(np.exp(truth.log_masses).sum(), abs=0.01)
    assert policy.evaluations == 2537


@pytest.mark.parametrize("schedule", ["cosine-1000", "cosine-50", "sigmoid-1000", "linear-steep", "ddim-10-steps"])
def test_the_model_density_is_the_same_under_other_schedules(schedule):
    masses, _, policy = score("two unequal", Likelihood("model"), schedule)
    assert distance(masses, find_truth("two unequal", "model", policy)) < 0.03
    assert policy.evaluations == 2537


@pytest.mark.parametrize(
    ("name", "schedule", "changes"),
    [
        ("one", "cosine", {}),
        ("one half a cell wide", "cosine", {}),
        ("one narrow", "cosine", {}),
        ("one with short correlation", "cosine", {}),
        ("one anisotropic", "cosine", {}),
        ("one", "cosine-fixed_large", {}),
        ("one", "cosine-50-steps", {}),
        ("one", "linear-steep", {}),
        ("one narrow", "ddim", {}),
        ("one", "ddim", {"prediction_type": "sample"}),
    ],
)
def test_the_executed_density_of_one_gaussian_is_the_exact_one(name, schedule, changes):
    masses, _, policy = score(name, Likelihood(), schedule, clip_sample=False, **changes)
    truth = find_truth(name, "executed", policy)
    assert truth.noise == 0
    assert distance(masses, truth) < 0.012
    model = find_truth(name, "model", policy)
    assert distance(masses, truth) < distance(masses, model)


@pytest.mark.parametrize("density", ["executed", "model"])
@pytest.mark.parametrize("name", ["one half a cell wide", "one narrow", "two parallel narrow"])
def test_without_a_covariance_densities_are_made_at_the_finest_level_alone(name, density, monkeypatch):
    monkeypatch.setattr(start, "SLOPE", 0.0)  # no slope is a covariance then
    scorer = Likelihood(density)
    masses, scores, policy = score(name, scorer)
    assert distance(masses, find_truth(name, density, policy)) < 0.07
    assert policy.evaluations == 41 + 249 * 10 <= scorer.evaluations(policy, GRID)
    (mixture,) = scores.mixtures
    assert len(mixture.weight) == scorer.layout(policy).components  # as at other steps of the episode
    assert (mixture.weight > 0).sum() == 249  # one step more than elsewhere, for no evaluation more
    assert 0.3 * distance(masses, find_truth(name, density, policy)) < scores.checks["error"][0] < 0.1


def test_steps_with_and_without_a_covariance_go_together(policy, monkeypatch):
    conditioning = torch.randn(4, 36, generator=torch.Generator().manual_seed(2))
    run_pilot = start.run_pilot

    def sometimes(policy, given, *settings):
        pilot = run_pilot(policy, given, *settings)
        return replace(pilot, believed=given[:, 0].numpy() > conditioning[1, 0].item())

    monkeypatch.setattr(start, "run_pilot", sometimes)
    scorer = Likelihood("model", samples=16, finest=8)
    together = scorer.score(policy, conditioning, CHUNKS, Grid(12), seed=4)
    padded = [bool((each.mean[16:] == each.mean[16]).all()) for each in together.mixtures]
    assert padded == (conditioning[:, 0] <= conditioning[1, 0]).tolist()
    assert set(padded) == {True, False}
    for step, row in enumerate(conditioning.split(1)):
        alone = scorer.score(policy, row, CHUNKS, Grid(12), seed=4).mixtures[0]
        np.testing.assert_allclose(together.mixtures[step].mean, alone.mean, atol=0.5)


@pytest.mark.parametrize("name", ["four unequal", "one in the corner"])
def test_the_executed_density_is_that_of_the_policys_own_draws(name):
    masses, scores, policy = score(name, Likelihood())
    assert distance(masses, find_truth(name, "executed", policy)) < 0.06
    np.testing.assert_allclose(scores.mixtures[0].box, policy.to_px(np.array([[-1.0, -1.0], [1.0, 1.0]])), rtol=1e-6)


def test_actions_are_clipped_where_the_policy_clips_them():
    assert score("one", Likelihood(), clip_sample=False)[1].mixtures[0].box is None
    assert score("one", Likelihood("model"))[1].mixtures[0].box is None
    masses, scores, policy = score("one", Likelihood(), "cosine-clip-2")
    np.testing.assert_allclose(scores.mixtures[0].box, policy.to_px(np.array([[-2.0, -2.0], [2.0, 2.0]])), rtol=1e-6)
    assert masses.sum() == pytest.approx(1, abs=0.01)


@pytest.mark.slow
def test_more_is_better():
    found = []
    for settings in QUALITIES.values():
        masses, _, policy = score("four unequal", Likelihood("model", **settings))
        found.append(distance(masses, find_truth("four unequal", "model", policy)))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.02


@pytest.mark.parametrize(
    ("name", "density", "schedule"),
    [
        ("two unequal", "model", "cosine"),
        ("two parallel narrow", "model", "cosine"),
        ("four unequal", "model", "cosine"),
        ("four wide", "model", "sigmoid-1000"),
        ("one wide", "executed", "cosine-unclipped"),
        ("one", "executed", "cosine"),
    ],
)
def test_the_error_is_about_the_true_one(name, density, schedule):
    changes = {"clip_sample": False} if density == "executed" else {}
    found = [score(name, Likelihood(density), schedule, seed=seed, **changes) for seed in range(2)]
    truth = find_truth(name, density, found[0][2])
    true = np.mean([distance(masses, truth) for masses, _, _ in found])
    told = np.mean([scores.checks["error"][0] for _, scores, _ in found])
    assert 1 / 4 < told / true < 4


def test_the_error_falls_with_more_samples_and_grows_away_from_the_peak():
    errors = [
        score("four unequal", Likelihood("model", **QUALITIES[each]))[1].checks for each in ("draft", "reference")
    ]
    assert errors[1]["error"][0] < 0.75 * errors[0]["error"][0]
    for each in errors:
        assert (each["log_error"][0] >= 0).all()
        assert each["log_error"][0][-1] > each["log_error"][0][0]


def test_the_error_and_the_mixture_do_not_depend_on_the_grid():
    (_, one, _), (_, two, _) = (score("banana", Likelihood(samples=64), grid=Grid(size)) for size in (7, 90))
    for check in Likelihood.checks:
        np.testing.assert_array_equal(one.checks[check], two.checks[check])
    np.testing.assert_array_equal(one.mixtures[0].mean, two.mixtures[0].mean)
    np.testing.assert_array_equal(one.mixtures[0].weight, two.mixtures[0].weight)


@pytest.mark.parametrize(
    "scorer",
    [Likelihood(samples=64, finest=16), Likelihood(samples=64, finest=0), Likelihood(samples=16, sampler="policy")],
)
def test_scores_are_laid_out_as_the_scorer_says(scorer, policy):
    scores = scorer.score(policy, torch.zeros(2, 36), CHUNKS, Grid(8), seed=0)
    layout = scorer.layout(policy)
    assert scores.values.shape == (2, 8, 8)
    assert {name: each.shape for name, each in scores.checks.items()} == {
        "error": (2,),
        "log_error": (2, len(DISTANCES)),
    }
    assert scores.denoised.shape == (2, layout.denoised, policy.horizon, 2)
    assert tuple(layout.distances) == DISTANCES
    for mixture in scores.mixtures:
        assert mixture.weight.shape == (layout.components,)
        assert mixture.weight.sum() == pytest.approx(1, abs=1e-4)
        np.testing.assert_array_equal(mixture.box, layout.box)
    assert score_attributes(scorer, policy, Grid(8))["density"] == scorer.density


def test_denoised_chunks_are_chunks_of_the_data():
    mixture = BY_NAME["two narrow"]
    _, scores, policy = score("two narrow", Likelihood())
    away = policy.from_px(scores.denoised[0])[:, None] - mixture.chunks
    assert np.abs(away).max(axis=(2, 3)).min(axis=1).max() < 5 * 0.03


def test_the_policys_own_sampler_gives_its_draws_as_they_are():
    scorer = Likelihood(samples=16, sampler="policy", finest=0)
    policy = analytic_policy.make_policy(BY_NAME["two unequal"], num_inference_steps=20)
    conditioning = analytic_policy.encode_observation(policy)
    drawn = []
    sample = policy.sample
    policy.sample = lambda *given: drawn.append(sample(*given)) or drawn[-1]
    scores = scorer.score(policy, conditioning, CHUNKS, GRID, 0)
    assert policy.evaluations == scorer.evaluations(policy, GRID) == 16 * 20
    (mixture,) = scores.mixtures
    np.testing.assert_allclose(mixture.mean, policy.to_px(drawn[0][0, :, policy.current].numpy()), atol=0.02)
    np.testing.assert_array_equal(mixture.weight, np.full(16, 1 / 16))
    assert np.sqrt(np.linalg.eigvalsh(mixture.covariance)).max() == pytest.approx(1, abs=0.1)  # px


def test_the_policys_own_sampler_gives_the_same_density():
    scorer = Likelihood(samples=1024, sampler="policy")
    masses, scores, policy = score("one", scorer, num_inference_steps=20, clip_sample=False)
    counted = count_draws(scores.mixtures[0].mean, GRID)
    truth = np.exp(find_truth("one", "executed", policy).log_masses)
    assert total_variation(masses, truth) < 1.2 * counted.noise
    assert 1 / 3 < scores.checks["error"][0] / total_variation(masses, truth) < 3


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_grid_does_not_change_the_number_of_evaluations(quality):
    policy = analytic_policy.make_policy(BY_NAME["one"])
    scorer, conditioning = Likelihood(**QUALITIES[quality]), analytic_policy.encode_observation(policy)
    for resolution in (5, 40):
        policy.evaluations = 0
        policy.policy.diffusion.unet.calls.clear()
        scorer.score(policy, conditioning, CHUNKS, Grid(resolution), seed=0)
        made = sum(policy.policy.diffusion.unet.calls)
        assert made == policy.evaluations == scorer.evaluations(policy, Grid(resolution))
    assert made <= {"draft": 640, "standard": 2560, "reference": 25000}[quality]


@pytest.mark.parametrize(
    "scorer",
    [Likelihood(samples=16, finest=8), Likelihood("model", samples=16, finest=8)],
    ids=["executed", "model"],
)
def test_steps_together_are_steps_alone(policy, scorer):
    conditioning = torch.randn(3, 36, generator=torch.Generator().manual_seed(1))
    together = scorer.score(policy, conditioning, CHUNKS, Grid(12), seed=4)
    alone = [scorer.score(policy, row, CHUNKS, Grid(12), seed=4) for row in conditioning.split(1)]
    np.testing.assert_allclose(
        np.exp(together.values), np.exp(np.concatenate([each.values for each in alone])), rtol=1e-2, atol=1e-9
    )
    for check in scorer.checks:
        expected = np.concatenate([each.checks[check] for each in alone])
        np.testing.assert_allclose(together.checks[check], expected, rtol=1e-2, atol=1e-3)


def test_a_policy_that_predicts_samples_has_the_same_density():
    for density in ("executed", "model"):
        one, two = (
            score("two unequal", Likelihood(density, samples=64), schedule)[1].values
            for schedule in ("cosine", "cosine-sample")
        )
        np.testing.assert_allclose(np.exp(one), np.exp(two), rtol=1e-2, atol=1e-6)


def test_a_network_that_is_not_finite_is_named():
    policy = analytic_policy.make_policy(BY_NAME["one"])
    conditioning = analytic_policy.encode_observation(policy)
    policy.policy.diffusion.unet.denoiser = lambda x, alpha, sigma: x * np.nan
    with pytest.raises(ScorerError, match=r"at timestep \d+ is not finite; check the policy's weights"):
        Likelihood(samples=64).score(policy, conditioning, CHUNKS, Grid(10), 0)


@pytest.mark.parametrize(
    ("density", "schedule", "words"),
    [
        ("model", "linear", r"ends at σ/α = 1\.3\d, where the data still show .* as squaredcos_cap_v2 is"),
        ("executed", "sigmoid-20", "where the data still show"),
        ("model", "laplace", r"of 100 timesteps is too coarse: .* --noise-level above 0\.35"),
        ("executed", "ddim-10-steps", r"of 10 steps makes actions that .* --density model, or --sampler policy"),
    ],
)
def test_schedules_and_samplers_that_it_cannot_do_are_refused(density, schedule, words):
    policy = analytic_policy.make_policy(BY_NAME["one"], schedule)
    with pytest.raises(ScorerError, match=words) as refused:
        Likelihood(density).evaluations(policy, GRID)
    assert "\n" not in str(refused.value)


def test_what_a_refusal_recommends_is_not_refused():
    policy = analytic_policy.make_policy(BY_NAME["one"], "ddim-10-steps")
    assert Likelihood("model").evaluations(policy, GRID) == 2537
    assert Likelihood(sampler="policy").evaluations(policy, GRID) == 2560
    policy = analytic_policy.make_policy(BY_NAME["one"], "laplace")
    assert Likelihood("model", level=0.8).evaluations(policy, GRID) == 2537


@pytest.mark.parametrize(
    "settings",
    [
        {"samples": 100},
        {"samples": 8},
        {"steps": 0},
        {"level": 0.0},
        {"level": 1.0},
        {"finest": 2},
        {"finest": 512},
        {"sampler": "magic"},
        {"density": "p0"},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ScorerError, match="is not allowed"):
        Likelihood(**settings)


def test_the_policys_own_sampler_has_no_model_density():
    with pytest.raises(ScorerError, match="--sampler policy draws executed actions"):
        Likelihood("model", sampler="policy")


def test_quality_is_a_set_of_settings_that_others_change():
    assert Likelihood(**choose_quality("standard")) == Likelihood()
    assert choose_quality("draft", samples=128, steps=None) == QUALITIES["draft"] | {"samples": 128}
    with pytest.raises(ScorerError, match="invalid value 'best' for --quality; choose from draft, standard, reference"):
        choose_quality("best")
