"""The pilot finds the mean and covariance of Gaussian data, and the start has them."""

import numpy as np
import pytest

from dlscore.certify import analytic_policy, mixtures
from dlscore.scores import start

ONE = mixtures.gaussians("", [[0.2, -0.3]], 0.15, stretch=0.4, turn=[30])
MEAN, COVARIANCE = ONE.chunks[0].ravel(), np.kron(ONE.correlation, ONE.covariances[0])
T = 87  # of 100 cosine timesteps: σ/α about 5


@pytest.fixture(scope="module")
def case():
    policy = analytic_policy.make_policy(ONE)
    return policy, analytic_policy.encode_observation(policy)


def test_the_pilot_finds_mean_and_covariance_of_one_gaussian(case):
    policy, conditioning = case
    policy.evaluations = 0
    pilot = start.run_pilot(policy, conditioning, T, 1.0, seed=3)
    assert policy.evaluations == start.pilot_evaluations(policy) == 41
    np.testing.assert_allclose(pilot.mean[0], MEAN, atol=1e-4)
    found = (pilot.vectors[0] * pilot.variances[0]) @ pilot.vectors[0].T
    np.testing.assert_allclose(found, COVARIANCE, atol=0.02 * COVARIANCE.max())


def test_a_slope_in_all_directions_is_the_networks_own_and_says_nothing_of_the_data(case, monkeypatch):
    policy, conditioning = case
    monkeypatch.setattr(start, "_predict", lambda policy, conditioning, y, t: 0.2 * y + 0.3)
    pilot = start.run_pilot(policy, conditioning, T, 1.0, seed=0)
    assert not pilot.believed[0]
    np.testing.assert_array_equal(pilot.variances, 0)
    np.testing.assert_allclose(pilot.mean, 0.3, atol=1e-12)
    spread = start.start(policy, pilot, 1024, 2.0, seed=0).reshape(1024, 32).std(axis=0)
    np.testing.assert_allclose(spread, 2.0, rtol=0.02)


def test_a_slope_that_is_not_symmetric_is_no_covariance(case, monkeypatch):
    policy, conditioning = case
    slope = 0.2 * np.outer(np.arange(32) == 4, np.arange(32) == 7) + np.diag(np.where(np.arange(32) < 4, 0.2, 0.0))
    monkeypatch.setattr(start, "_predict", lambda policy, conditioning, y, t: y @ slope.T)
    assert not start.run_pilot(policy, conditioning, T, 1.0, seed=0).believed[0]
    monkeypatch.setattr(start, "_predict", lambda policy, conditioning, y, t: y @ (slope + slope.T) / 2)
    assert start.run_pilot(policy, conditioning, T, 1.0, seed=0).believed[0]


def test_a_mean_beyond_the_clip_is_clipped():
    far = mixtures.gaussians("", [[1.4, 0.0]], 0.05)
    policy = analytic_policy.make_policy(far)
    conditioning = analytic_policy.encode_observation(policy)
    assert np.abs(start.run_pilot(policy, conditioning, T, 1.0, 0).mean).max() == 1
    assert start.run_pilot(policy, conditioning, T, None, 0).mean.max() > 1.35


def test_chunks_start_with_the_marginals_mean_and_covariance(case):
    policy, _ = case
    values, vectors = np.linalg.eigh(COVARIANCE)
    pilot = start.Pilot(MEAN[None], vectors[None], values[None], np.array([True]), np.array([True]))
    noise = 0.5
    y = start.start(policy, pilot, 2048, noise, seed=1)
    assert y.shape == (1, 2048, 16, 2)
    flat, marginal = y[0].reshape(2048, 32), COVARIANCE + noise**2 * np.eye(32)
    np.testing.assert_allclose(flat.mean(axis=0), MEAN, atol=0.005)
    np.testing.assert_allclose(np.cov(flat.T), marginal, atol=0.1 * marginal.max())
    now = slice(2 * policy.current, 2 * policy.current + 2)
    np.testing.assert_allclose(np.cov(flat.T)[now, now], marginal[now, now], atol=0.02 * marginal.max())


def test_directions_are_orthonormal_and_the_current_action_comes_first():
    values, vectors = np.linalg.eigh(COVARIANCE)
    found = start.directions(16, 1, vectors, values)
    assert found.shape == (32, 32)
    np.testing.assert_allclose(found.T @ found, np.eye(32), atol=1e-10)
    root = (vectors * np.sqrt(values)) @ vectors.T
    moved = root[2:4] @ found  # of the current action, by each direction
    np.testing.assert_allclose(moved[:, 2:], 0, atol=1e-8)
    np.testing.assert_allclose(moved[:, :2] @ moved[:, :2].T, COVARIANCE[2:4, 2:4], atol=1e-10)


@pytest.mark.parametrize("variances", [np.full(32, 0.3), np.zeros(32)], ids=["one width", "no width"])
def test_directions_do_not_depend_on_rounding(variances):
    # Data of one width leave Σ^½ and Σ with the same columns, so what is left of the second is nothing but rounding.
    rng = np.random.default_rng(0)
    found = []
    for _ in range(3):
        rounding = rng.standard_normal((32, 32))
        values, vectors = np.linalg.eigh(np.diag(variances) + 1e-7 * variances[0] * (rounding + rounding.T))
        found.append(start.directions(16, 1, vectors, np.maximum(values, 0)))
        np.testing.assert_allclose(found[-1].T @ found[-1], np.eye(32), atol=1e-10)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-3)


def test_normal_points_are_even_and_shared():
    points = start.normal_points(256, 32, 5)
    assert points is start.normal_points(256, 32, 5)
    assert not points.flags.writeable
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(points.std(axis=0), 1, atol=0.02)
    assert np.abs(points - start.normal_points(256, 32, 6)).max() > 0.1


@pytest.mark.parametrize(("slope", "denoises"), [(0.2, True), (-0.1, True), (1.2, False), (-1.5, False)])
def test_a_slope_that_no_data_within_the_box_have_is_that_of_a_network_that_does_not_denoise(
    slope, denoises, case, monkeypatch
):
    policy, conditioning = case
    monkeypatch.setattr(start, "_predict", lambda policy, conditioning, y, t: slope * y)
    pilot = start.run_pilot(policy, conditioning, T, 1.0, seed=0)
    assert pilot.denoises[0] == denoises
    assert start.run_pilot(policy, conditioning, T, 1.0, seed=0).of(np.array([0])).denoises[0] == denoises
