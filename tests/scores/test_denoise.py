"""The posterior of a noisy chunk is the closed form where there is one."""

import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures
from dlscore.scores.base import ScorerError
from dlscore.scores.denoise import find_posterior, predict_data

T = 20  # of 100 cosine timesteps: σ/α = 0.35


@pytest.mark.parametrize("length", [1.5, 4, 9])
def test_posterior_of_one_gaussian_is_the_closed_form(length):
    one = mixtures.gaussians("", [[0.2, -0.3]], 0.1, stretch=0.4, turn=[30], length=length)
    policy = analytic_policy.make_policy(one)
    v, conditioning = policy.levels[T], analytic_policy.encode_observation(policy)
    y = torch.randn(1, 5, 16, 2, generator=torch.Generator().manual_seed(0))
    found = find_posterior(policy, conditioning, y, T)
    assert policy.evaluations == 15

    prior, mean = np.kron(one.correlation, one.covariances[0]), one.chunks[0].ravel()
    gain = prior @ np.linalg.inv(prior + v**2 * np.eye(32))
    clean = mean + (y[0].double().numpy().reshape(5, 32) - mean) @ gain.T
    np.testing.assert_allclose(found.mean[0].numpy().reshape(5, 32), clean, atol=1e-4)
    covariance = v**2 * gain
    now, scale = slice(2, 4), covariance[2:4, 2:4].max()

    def compare(block, whole, tolerance):
        np.testing.assert_allclose(block[0], np.broadcast_to(whole[now, now], (5, 2, 2)), atol=tolerance)

    compare(found.covariance, covariance, 1e-3 * scale)
    compare(found.square, covariance @ covariance, 5e-3 * scale**2)
    # The cube takes the posterior for stationary, which it is not at the chunk's ends.
    cube = covariance @ covariance @ covariance
    compare(found.cube, cube, 0.15 * cube[now, now].max())
    residual = (y[0].double().numpy().reshape(5, 32) - clean) @ covariance[:, now]
    np.testing.assert_allclose(found.residual[0], residual, atol=5e-3 * np.abs(residual).max())


def test_a_posterior_of_independent_times_has_powers_of_its_own_block():
    one = mixtures.gaussians("", [[0.0, 0.0]], 0.2, stretch=0.5, turn=[70], length=0.01)
    policy = analytic_policy.make_policy(one)
    y = torch.zeros(1, 2, 16, 2)
    found = find_posterior(policy, analytic_policy.encode_observation(policy), y, T)
    block = found.covariance[0, 0]
    np.testing.assert_allclose(found.square[0, 0], block @ block, rtol=2e-3, atol=1e-8)
    np.testing.assert_allclose(found.cube[0, 0], block @ block @ block, rtol=5e-3, atol=1e-8)
    for matrices in (found.covariance, found.cube):
        np.testing.assert_array_equal(matrices, matrices.swapaxes(-1, -2))


def test_predictions_that_are_not_finite_are_refused():
    policy = analytic_policy.make_policy(mixtures.MIXTURES[0])
    policy.policy.diffusion.unet.denoiser = lambda x, alpha, sigma: x * np.inf
    with pytest.raises(ScorerError, match="prediction at timestep 20 is not finite"):
        predict_data(policy, analytic_policy.encode_observation(policy), torch.ones(1, 1, 16, 2), T)
