import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures
from dlscore.certify.metrics import total_variation
from dlscore.grid import Grid
from dlscore.scores import multilevel, posterior, sampling
from dlscore.scores.base import ScorerError
from dlscore.scores.likelihood import QUALITIES, Likelihood, choose_quality
from dlscore.scores.posterior import GaussianMixture

CHUNKS = np.empty(0)  # likelihood looks at no drawn chunk
BY_NAME = {each.name: each for each in mixtures.MIXTURES}


def score(name, scorer, resolution=50, seed=0):
    """(estimated masses, true masses, checks, policy)"""
    policy, grid = analytic_policy.make_policy(BY_NAME[name]), Grid(resolution)
    conditioning = analytic_policy.encode_observation(policy)
    scores = scorer.score(policy, conditioning, CHUNKS, grid, seed)
    masses = np.exp(scores.values[0]) * grid.cell_area
    return masses, np.exp(BY_NAME[name].log_masses(policy, grid)), scores.checks, policy


@pytest.mark.parametrize("correlation_length", [1.5, 4, 9])
def test_posterior_of_one_gaussian_is_the_closed_form(correlation_length):
    one = mixtures.gaussians("", [[0.2, -0.3]], 0.1, stretch=0.4, turn=[30], length=correlation_length)
    policy, t = analytic_policy.make_policy(one), 8
    alpha, sigma = policy.noise_level(t)
    conditioning = analytic_policy.encode_observation(policy)
    x = torch.randn(1, 5, 16, 2, generator=torch.Generator().manual_seed(0))
    found = posterior.posterior(policy, conditioning, x, t, policy.epsilon(x, t, conditioning))

    prior = np.kron(one.correlation, one.covariances[0])
    gain = alpha * prior @ np.linalg.inv(alpha**2 * prior + sigma**2 * np.eye(32))
    mean = one.chunks[0].ravel()
    expected = mean + (x[0].double().numpy().reshape(5, 32) - alpha * mean) @ gain.T
    now = slice(2 * policy.current, 2 * policy.current + 2)
    np.testing.assert_allclose(found.mean[0], policy.to_px(expected[:, now]), atol=0.01)
    expected = (prior - alpha * gain @ prior)[now, now] * np.outer(policy.px_per_unit, policy.px_per_unit)
    np.testing.assert_allclose(found.covariance[0], np.broadcast_to(expected, (5, 2, 2)), atol=2)


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


def test_the_sampling_error_is_that_of_the_estimate():
    errors = []
    for seed in range(6):
        masses, truth, checks, _ = score("four wide", Likelihood(), seed=seed)
        errors.append((total_variation(masses, truth), checks["sampling_error"][0]))
    actual, estimated = np.mean(errors, axis=0)
    assert 0.6 < estimated / actual < 1.6


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


def test_the_correction_is_dropped_where_it_is_noise_and_kept_where_it_is_not():
    grid, rng = Grid(40), np.random.default_rng(0)

    def gaussians(centres, sigma):
        return GaussianMixture(centres[None], np.broadcast_to(np.eye(2) * sigma**2, (1, len(centres), 2, 2)))

    # Chunks in two narrow modes 60 px apart, blurred at the coarse level, and not at the fine one.
    modes = np.where(rng.random(256)[:, None] < 0.5, [220.0, 256.0], [280.0, 256.0])
    chosen = multilevel.choose(256, 64)
    coarse, fine = gaussians(0.5 * modes + 0.5 * np.array([250.0, 256.0]), 25), gaussians(modes[chosen], 12)
    truth = (
        np.exp(multilevel.log_cell_density(modes, np.broadcast_to(np.eye(2) * 144.0, (256, 2, 2)), grid))
        * grid.cell_area
    )
    joined = multilevel.join(coarse, fine, 0, grid)
    assert joined.level_difference > 0.2
    assert total_variation(np.exp(joined.log_density) * grid.cell_area, truth) < 0.1

    # One wide mode: the fine level of 64 chunks is nothing but rougher.
    centres = rng.normal(256, 60, (256, 2))
    coarse, fine = gaussians(centres, 35), gaussians(centres[chosen] + rng.normal(0, 30, (64, 2)), 18)
    joined = multilevel.join(coarse, fine, 0, grid)
    plain = multilevel.log_cell_density(coarse.mean[0], coarse.covariance[0], grid)
    assert joined.level_difference < 0.1
    assert total_variation(np.exp(joined.log_density), np.exp(plain)) * grid.cell_area < 0.05
    assert np.isfinite(joined.log_density).all()


def test_a_mixture_that_is_outside_the_grid_stays_finite():
    grid = Grid(20)

    def gaussians(centre, count, sigma):
        centres = np.random.default_rng(0).normal(centre, 5, (1, count, 2))
        return GaussianMixture(centres, np.broadcast_to(np.eye(2) * sigma**2, (1, count, 2, 2)))

    for near, far in ((-2000, -2000), (-70, -85), (560, 540)):
        joined = multilevel.join(gaussians(near, 64, 25), gaussians(far, 32, 12), 0, grid)
        assert np.isfinite(joined.log_density).all()
        assert np.exp(joined.log_density).sum() * grid.cell_area <= 1 + 1e-6


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


def test_a_schedule_that_the_solver_does_not_know_is_handed_over():
    policy = analytic_policy.make_policy(BY_NAME["one"], beta_schedule="sigmoid")
    solver = sampling.fast_solver(policy, [*sampling.nodes(policy, 6, 10), 4])
    np.testing.assert_allclose(solver.alphas_cumprod, policy.alphas_cumprod, rtol=1e-5)


def test_a_schedule_that_is_too_short_is_refused():
    policy = analytic_policy.make_policy(BY_NAME["one"], num_train_timesteps=8)
    with pytest.raises(ScorerError, match="noise-timestep 10 is not allowed; it must be larger for a schedule of 8"):
        Likelihood().evaluations(policy, Grid(10))


@pytest.mark.parametrize("resolution", [2, 4, 10])
def test_cells_are_integrated_wherever_a_narrow_mode_lies(resolution):
    grid = Grid(resolution)
    for offset in np.linspace(-0.45, 0.45, 7):
        mean = np.full((1, 2), grid.centres[1]) + offset * grid.cell
        masses = np.exp(multilevel.log_cell_density(mean, np.eye(2)[None] * 4.0, grid)) * grid.cell_area
        assert masses.sum() == pytest.approx(1, abs=0.01)


def test_cells_are_integrated():
    # One component a tenth of a cell wide, in the middle of a cell: all its mass is in that cell.
    grid = Grid(16)
    mean, covariance = np.array([[grid.centres[3], grid.centres[12]]]), np.eye(2)[None] * (grid.cell / 10) ** 2
    mass = np.exp(multilevel.log_cell_density(mean, covariance, grid)) * grid.cell_area
    assert mass[12, 3] == pytest.approx(1, abs=1e-3)
    assert np.isfinite(multilevel.log_cell_density(mean, covariance, grid)).all()


def test_cells_of_a_correlated_component_match_fine_sampling():
    grid, fine = Grid(16), 32
    mean, covariance = np.array([[250.0, 270.0]]), np.array([[[400.0, 300.0], [300.0, 500.0]]])
    away = Grid(16 * fine).actions - mean[0]
    power = np.einsum("yxi,ij,yxj->yx", away, np.linalg.inv(covariance[0]), away)
    expected = np.exp(-0.5 * power) / (2 * np.pi * np.sqrt(np.linalg.det(covariance[0])))
    expected = expected.reshape(16, fine, 16, fine).mean(axis=(1, 3))
    found = np.exp(multilevel.log_cell_density(mean, covariance, grid))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=5e-9)


def test_sobol_noise_is_standard_normal_and_repeatable():
    noise = sampling.sobol_noise(1024, 16, 1, seed=3)
    np.testing.assert_array_equal(noise, sampling.sobol_noise(1024, 16, 1, seed=3))
    assert not np.array_equal(noise, sampling.sobol_noise(1024, 16, 1, seed=4))
    flat = noise.reshape(1024, 32)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(flat.T), np.eye(32), atol=0.2)


@pytest.mark.parametrize(("horizon", "current"), [(16, 1), (64, 0), (8, 3)])
def test_the_noise_has_orthonormal_directions_and_the_current_action_comes_first(horizon, current):
    directions = sampling._directions(horizon, current)
    np.testing.assert_allclose(directions.T @ directions, np.eye(horizon), atol=1e-12)
    assert np.abs(directions[:, 0]).argmax() == current


def test_nodes_descend_to_the_last_timestep(policy):
    for steps, last in ((6, 10), (7, 8), (9, 4), (2, 30), (12, 3)):
        nodes = sampling.nodes(policy, steps, last)
        assert len(nodes) == steps + 1
        assert nodes[:2] == [96, 87]
        assert nodes[-1] == last
        assert all(np.diff(nodes) < 0)


@pytest.mark.parametrize(
    "settings", [{"samples": 100}, {"samples": 0}, {"steps": 1}, {"timestep": 1}, {"sampler": "magic"}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ScorerError, match="is not allowed"):
        Likelihood(**settings)


def test_a_timestep_beyond_the_schedule_is_refused(policy):
    with pytest.raises(ScorerError, match="do not fit between timesteps 87 and 95"):
        sampling.nodes(policy, 7, 95)


def test_a_sampler_that_does_not_come_to_the_timestep_is_refused():
    policy = analytic_policy.make_policy(BY_NAME["one"], num_inference_steps=10, noise_scheduler_type="DDIM")
    with pytest.raises(ScorerError, match=r"timestep 4 is not one .* 10 steps"):
        Likelihood(sampler="policy").evaluations(policy, Grid(10))


def test_quality_is_a_set_of_settings_that_others_change():
    assert Likelihood(**choose_quality("standard")) == Likelihood()
    assert choose_quality("draft", samples=128, steps=None) == QUALITIES["draft"] | {"samples": 128}
    with pytest.raises(ScorerError, match="invalid value 'best' for --quality; choose from draft, standard, reference"):
        choose_quality("best")
