"""`likelihood` is the known density of analytic policies, and says how far it may be off."""

import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures
from dlscore.certify.metrics import total_variation
from dlscore.grid import Grid
from dlscore.scores.base import ScorerError
from dlscore.scores.likelihood import QUALITIES, Likelihood, choose_quality

CHUNKS = np.empty(0)  # likelihood looks at no drawn chunk
BY_NAME = {each.name: each for each in mixtures.MIXTURES}


def score(name, scorer, resolution=50, seed=0):
    """(estimated masses, true masses, checks, policy)"""
    policy, grid = analytic_policy.make_policy(BY_NAME[name]), Grid(resolution)
    conditioning = analytic_policy.encode_observation(policy)
    scores = scorer.score(policy, conditioning, CHUNKS, grid, seed)
    masses = np.exp(scores.values[0]) * grid.cell_area
    return masses, np.exp(BY_NAME[name].log_masses(policy, grid)), scores.checks, policy


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("one", 0.03),
        ("one half a cell wide", 0.02),
        ("two unequal", 0.06),
        ("two parallel narrow", 0.07),  # 0.15 at the coarse level alone
        ("four unequal", 0.10),
        ("banana", 0.10),
    ],
)
def test_likelihood_is_the_known_density(name, limit):
    masses, truth, checks, policy = score(name, Likelihood())
    assert total_variation(masses, truth) < limit
    assert masses.sum() == pytest.approx(truth.sum(), abs=0.01)
    assert policy.evaluations == 2496
    assert checks["sampling_error"][0] < 0.1


def test_where_modes_run_together_the_levels_differ_and_elsewhere_they_do_not():
    found = {
        name: score(name, Likelihood())[2]["level_difference"][0] for name in ("two parallel narrow", "one", "four")
    }
    assert found["two parallel narrow"] > 0.08
    assert found["one"] < 0.03
    assert found["four"] < 0.05


@pytest.mark.slow
def test_the_sampling_error_is_that_of_the_estimate():
    errors = []
    for seed in range(6):
        masses, truth, checks, _ = score("four wide", Likelihood(), seed=seed)
        errors.append((total_variation(masses, truth), checks["sampling_error"][0]))
    actual, estimated = np.mean(errors, axis=0)
    assert 0.6 < estimated / actual < 1.6


@pytest.mark.slow
def test_more_is_better():
    found = [score("banana", Likelihood(**QUALITIES[quality]))[:2] for quality in ("draft", "standard", "reference")]
    distances = [total_variation(*each) for each in found]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.04


def test_the_policys_own_sampler_gives_the_same_density():
    scorer = Likelihood(samples=128, sampler="policy")
    masses, truth, _, policy = score("two unequal", scorer)
    assert total_variation(masses, truth) < 0.12
    assert policy.evaluations == scorer.evaluations(policy, Grid(50)) == 128 * (89 + 3) + 32 * (5 + 3)


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_grid_does_not_change_the_number_of_evaluations(quality):
    policy = analytic_policy.make_policy(BY_NAME["one"])
    scorer, conditioning = Likelihood(**QUALITIES[quality]), analytic_policy.encode_observation(policy)
    for resolution in (10, 70):
        policy.evaluations = 0
        policy.policy.diffusion.unet.calls.clear()
        scorer.score(policy, conditioning, CHUNKS, Grid(resolution), seed=0)
        made = sum(policy.policy.diffusion.unet.calls)
        assert made == policy.evaluations == scorer.evaluations(policy, Grid(resolution))
    assert made <= {"draft": 640, "standard": 2560, "reference": 25000}[quality]


def test_steps_together_are_steps_alone(policy):
    conditioning = torch.randn(3, 36, generator=torch.Generator().manual_seed(1))
    for scorer in (Likelihood(samples=16, steps=3), Likelihood(samples=16, timestep=60, sampler="policy")):
        together = scorer.score(policy, conditioning, CHUNKS, Grid(12), seed=4)
        alone = [scorer.score(policy, row, CHUNKS, Grid(12), seed=4) for row in conditioning.split(1)]
        np.testing.assert_allclose(
            together.values, np.concatenate([each.values for each in alone]), rtol=1e-3, atol=1e-3
        )
        for check in scorer.checks:
            expected = np.concatenate([each.checks[check] for each in alone])
            np.testing.assert_allclose(together.checks[check], expected, atol=1e-3)


def test_a_policy_that_predicts_samples_has_the_same_density():
    one = BY_NAME["one"]
    epsilon = analytic_policy.make_policy(one)
    sample = analytic_policy.make_policy(one, prediction_type="sample")
    unet = sample.policy.diffusion.unet

    class PredictSample(torch.nn.Module):
        def forward(self, x, timestep, global_cond=None):
            alpha, sigma = sample.noise_level(int(timestep[0]))
            return (x - sigma * unet(x, timestep)) / alpha

    sample.policy.diffusion.unet = PredictSample()
    grid, scorer = Grid(20), Likelihood(samples=64, steps=6)
    one, two = (
        scorer.score(p, analytic_policy.encode_observation(p), CHUNKS, grid, seed=0).values for p in (epsilon, sample)
    )
    np.testing.assert_allclose(np.exp(one), np.exp(two), rtol=1e-2, atol=1e-8)


def test_a_network_that_is_not_finite_is_named():
    policy = analytic_policy.make_policy(BY_NAME["one"])
    conditioning = analytic_policy.encode_observation(policy)
    policy.policy.diffusion.unet.means *= np.nan
    with pytest.raises(ScorerError, match="is not finite; check the policy's weights"):
        Likelihood(samples=64).score(policy, conditioning, CHUNKS, Grid(10), 0)


@pytest.mark.parametrize("changes", [{"num_train_timesteps": 1000}, {"num_train_timesteps": 50}],
                         ids=str)  # fmt: skip
def test_other_schedules_have_the_same_noise_levels(changes):
    one = BY_NAME["one"]
    policy, grid = analytic_policy.make_policy(one, **changes), Grid(30)
    scores = Likelihood().score(policy, analytic_policy.encode_observation(policy), CHUNKS, grid, 0)
    truth = np.exp(one.log_masses(policy, grid))
    assert total_variation(np.exp(scores.values[0]) * grid.cell_area, truth) < 0.05
    assert policy.evaluations == 2496
    standard = analytic_policy.make_policy(one)
    for t in (4, 10):
        ratio = policy.noise_level(policy.scale_timestep(t))[1] / standard.noise_level(t)[1]
        assert ratio == pytest.approx(1, abs=0.2)


def test_a_schedule_that_is_too_short_is_refused():
    policy = analytic_policy.make_policy(BY_NAME["one"], num_train_timesteps=8)
    with pytest.raises(
        ScorerError, match=r"noise-timestep 10 is not allowed; a schedule of 8 .*: choose --noise-timestep 44"
    ):
        Likelihood().evaluations(policy, Grid(10))


@pytest.mark.parametrize(
    "settings", [{"samples": 100}, {"samples": 0}, {"steps": 1}, {"timestep": 1}, {"sampler": "magic"}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ScorerError, match="is not allowed"):
        Likelihood(**settings)


def test_a_sampler_that_does_not_come_to_the_timestep_is_refused():
    policy = analytic_policy.make_policy(BY_NAME["one"], num_inference_steps=10, noise_scheduler_type="DDIM")
    with pytest.raises(ScorerError, match=r"timestep 4 is not one .* 10 steps"):
        Likelihood(sampler="policy").evaluations(policy, Grid(10))


def test_quality_is_a_set_of_settings_that_others_change():
    assert Likelihood(**choose_quality("standard")) == Likelihood()
    assert choose_quality("draft", samples=128, steps=None) == QUALITIES["draft"] | {"samples": 128}
    with pytest.raises(ScorerError, match="invalid value 'best' for --quality; choose from draft, standard, reference"):
        choose_quality("best")
