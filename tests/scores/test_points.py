"""Integrals over the plane by importance sampling are those of a Gaussian, wherever it is."""

import numpy as np
import pytest

from dlscore.scores.points import POINTS, SPREADS, spread_points

COVARIANCE = np.array([[400.0, 90.0], [90.0, 100.0]])


def log_gaussian(points, mean, covariance):
    away = points - mean
    power = np.einsum("pi,ij,pj->p", away, np.linalg.inv(covariance), away)
    return -0.5 * power - 0.5 * np.log(np.linalg.det(2 * np.pi * covariance))


@pytest.mark.parametrize("centre", [(256.0, 256.0), (-300.0, 900.0)])
@pytest.mark.parametrize("wider", [1.0, 2.0, 3.5])
def test_weights_integrate_gaussians_to_one(centre, wider):
    rng, mean = np.random.default_rng(1), np.array(centre)
    means = mean + rng.normal(0, 2, (64, 2))
    points, proposal = spread_points(means, np.broadcast_to(COVARIANCE, (64, 2, 2)))
    assert points.shape == (len(SPREADS) * POINTS, 2)
    covariance = COVARIANCE * wider**2
    weight = np.exp(log_gaussian(points, mean, covariance) - proposal) / len(points)
    assert weight.sum() == pytest.approx(1, abs=0.06)
    np.testing.assert_allclose(weight @ points / weight.sum(), mean, atol=0.1 * wider * 20)
    assert weight.max() < 0.02  # no point decides


def test_the_proposal_is_the_density_of_the_points():
    mean, covariance = np.zeros((1, 2)), COVARIANCE[None]
    points, proposal = spread_points(mean, covariance)
    each = [np.exp(log_gaussian(points, mean[0], covariance[0] * factor**2)) for factor in SPREADS]
    np.testing.assert_allclose(np.exp(proposal), np.mean(each, axis=0), rtol=1e-3)
    np.testing.assert_array_equal(points, spread_points(mean, covariance)[0])
