"""The posterior of a noisy chunk is the closed form where there is one."""

import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures
from dlscore.scores import posterior


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
