import numpy as np
import pytest
import torch
from analytic import Analytic, total_variation

from dlscore import mixture
from dlscore.grid import Grid
from dlscore.scorers import Likelihood, ScorerError


@pytest.fixture
def conditioning():
    return torch.zeros(1, 36)


def test_posterior_of_one_gaussian_is_the_closed_form(policy_folder, conditioning):
    analytic = Analytic(policy_folder, [[0.2, -0.3]], sigma=0.1)
    policy, t = analytic.policy, 8
    alpha, sigma = policy.noise_level(t)
    x = torch.randn(5, policy.horizon, 2, generator=torch.Generator().manual_seed(0))
    mean, covariance = mixture.posterior(policy, conditioning, x, t)

    unet = analytic.unet
    prior = (unet.vectors * unet.values) @ unet.vectors.T
    gain = alpha * prior @ torch.linalg.inv(alpha**2 * prior + sigma**2 * torch.eye(len(prior), dtype=torch.float64))
    expected = unet.means[0] + (x.double().flatten(1) - alpha * unet.means[0]) @ gain.T
    now = slice(2 * policy.current, 2 * policy.current + 2)
    np.testing.assert_allclose(mean, expected[:, now], atol=2e-5)
    np.testing.assert_allclose(
        covariance, np.broadcast_to((prior - alpha * gain @ prior)[now, now], (5, 2, 2)), atol=2e-5
    )


@pytest.mark.parametrize(
    ("modes", "sigma", "weights", "limit"),
    [
        ([[0.2, -0.3]], 0.1, None, 0.02),
        ([[0.2, -0.3]], 0.02, None, 0.06),  # half as wide as a cell
        ([[-0.5, -0.5], [0.5, 0.4]], 0.08, [0.3, 0.7], 0.05),
        ([[-0.6, 0.6], [0.6, 0.6], [0.0, -0.6], [0.1, 0.1]], 0.06, [0.4, 0.3, 0.2, 0.1], 0.06),
    ],
)
def test_likelihood_is_the_known_density(policy_folder, conditioning, modes, sigma, weights, limit):
    analytic, grid = Analytic(policy_folder, modes, sigma, weights), Grid(50)
    scores = Likelihood().score(analytic.policy, conditioning, np.zeros((16, 2)), grid, seed=0)
    assert total_variation(scores, analytic.density(grid), grid) < limit
    assert np.exp(scores).sum() * grid.cell_area == pytest.approx(1, abs=0.01)
    assert analytic.policy.evaluations == 2560


def test_the_grid_does_not_change_the_number_of_evaluations(policy_folder, conditioning):
    analytic = Analytic(policy_folder, [[0.2, -0.3]], sigma=0.1)
    for resolution in (10, 70):
        analytic.unet.calls.clear()
        Likelihood(samples=64, steps=6).score(
            analytic.policy, conditioning, np.zeros((16, 2)), Grid(resolution), seed=0
        )
        assert sum(analytic.unet.calls) == 64 * 9 == Likelihood(samples=64, steps=6).evaluations(Grid(resolution))


def test_a_policy_that_predicts_samples_has_the_same_density(tmp_path, policy_folder, conditioning):
    import stub

    epsilon = Analytic(policy_folder, [[0.2, -0.3]], sigma=0.1)
    sample = Analytic(stub.save_policy(tmp_path / "sample", prediction_type="sample"), [[0.2, -0.3]], sigma=0.1)

    class PredictSample(torch.nn.Module):
        def forward(self, x, timestep, global_cond=None):
            alpha, sigma = sample.policy.noise_level(int(timestep[0]))
            return (x - sigma * sample.unet(x, timestep)) / alpha

    sample.policy.policy.diffusion.unet = PredictSample()
    grid, scorer = Grid(20), Likelihood(samples=64, steps=6)
    one, two = (scorer.score(a.policy, conditioning, np.zeros((16, 2)), grid, seed=0) for a in (epsilon, sample))
    np.testing.assert_allclose(np.exp(one), np.exp(two), rtol=1e-2, atol=1e-8)


def test_cells_are_integrated():
    # One component a tenth of a cell wide, in the middle of a cell: all its mass is in that cell.
    grid = Grid(16)
    mean, covariance = np.array([[grid.centres[3], grid.centres[12]]]), np.eye(2)[None] * (grid.cell / 10) ** 2
    mass = np.exp(mixture.log_cell_density(mean, covariance, grid)) * grid.cell_area
    assert mass[12, 3] == pytest.approx(1, abs=1e-3)
    assert np.isfinite(mixture.log_cell_density(mean, covariance, grid)).all()


def test_cells_of_a_correlated_component_match_fine_sampling():
    grid, fine = Grid(16), 32
    mean, covariance = np.array([[250.0, 270.0]]), np.array([[[400.0, 300.0], [300.0, 500.0]]])
    away = Grid(16 * fine).actions - mean[0]
    power = np.einsum("yxi,ij,yxj->yx", away, np.linalg.inv(covariance[0]), away)
    expected = np.exp(-0.5 * power) / (2 * np.pi * np.sqrt(np.linalg.det(covariance[0])))
    expected = expected.reshape(16, fine, 16, fine).mean(axis=(1, 3))
    np.testing.assert_allclose(np.exp(mixture.log_cell_density(mean, covariance, grid)), expected, rtol=2e-3, atol=5e-9)


def test_sobol_noise_is_standard_normal_and_repeatable():
    noise = mixture.sobol_noise(1024, 16, seed=3)
    np.testing.assert_array_equal(noise, mixture.sobol_noise(1024, 16, seed=3))
    assert not np.array_equal(noise, mixture.sobol_noise(1024, 16, seed=4))
    flat = noise.reshape(1024, 32)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(flat.T), np.eye(32), atol=0.2)


def test_nodes_descend_to_the_last_timestep(policy):
    for steps, last in ((6, 10), (7, 8), (9, 4), (2, 30), (12, 3)):
        nodes = mixture.nodes(policy, steps, last)
        assert len(nodes) == steps + 1
        assert nodes[:2] == [98, 90]
        assert nodes[-1] == last
        assert all(np.diff(nodes) < 0)


@pytest.mark.parametrize("settings", [{"samples": 100}, {"samples": 0}, {"steps": 1}, {"timestep": 0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ScorerError, match="is not allowed"):
        Likelihood(**settings)


def test_a_timestep_beyond_the_schedule_is_refused(policy):
    with pytest.raises(ScorerError, match="noise-timestep 95"):
        mixture.nodes(policy, 7, 95)
