"""The analytic policy is the exact denoiser of its mixture."""

import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures


def test_the_noise_is_the_score_of_the_noisy_density():
    # ε = -σ ∇ log p_t, with p_t written out as the density of 32 numbers.
    mixture = mixtures.gaussians("", [[0.2, -0.3], [-0.1, 0.4]], [0.1, 0.2], [0.3, 0.7], stretch=0.5, turn=[20, 70])
    policy = analytic_policy.make_policy(mixture)
    t = 30
    alpha, sigma = policy.noise_level(t)
    x = torch.randn(3, 16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    components = [
        torch.distributions.MultivariateNormal(
            torch.tensor(alpha * chunk.ravel()),
            torch.tensor(alpha**2 * np.kron(mixture.correlation, covariance) + sigma**2 * np.eye(32)),
        )
        for chunk, covariance in zip(mixture.chunks, mixture.covariances, strict=True)
    ]
    log_p = torch.stack([component.log_prob(x.flatten(1)) for component in components])
    log_p = (log_p + torch.tensor(np.log(mixture.weights))[:, None]).logsumexp(0).sum()
    expected = -sigma * torch.autograd.grad(log_p, x)[0]
    torch.testing.assert_close(policy.policy.diffusion.unet(x, torch.tensor([t])), expected, atol=1e-8, rtol=1e-6)


def test_a_noise_that_is_predicted_as_a_sample_is_the_same_policy():
    # ε and x₀ are the same prediction: (x_t - α x̂₀)/σ = ε̂ (Ho et al. 2020, eq. 9).
    mixture = mixtures.gaussians("", [[0.3, -0.4]], 0.1)
    noise, sample = (analytic_policy.make_policy(mixture, prediction_type=kind) for kind in ("epsilon", "sample"))
    x, given = torch.randn(1, 5, noise.horizon, 2), analytic_policy.encode_observation(noise)
    torch.testing.assert_close(sample.epsilon(x, 30, given), noise.epsilon(x, 30, given), atol=1e-4, rtol=1e-4)
    clean = sample.policy.diffusion.unet(x[0], torch.tensor([30]))
    alpha, sigma = noise.noise_level(30)
    torch.testing.assert_close(x[0], alpha * clean + sigma * noise.epsilon(x, 30, given)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_the_network_may_be_differentiated():
    policy = analytic_policy.make_policy(mixtures.MIXTURES[-4])
    unet, x = policy.policy.diffusion.unet, torch.randn(3, 16, 2, dtype=torch.float64)
    tangent, step = torch.randn(3, 16, 2, dtype=torch.float64), 1e-5
    exact = torch.func.jvp(lambda v: unet(v, torch.tensor([20])), (x,), (tangent,))[1]
    ends = [unet(x + sign * step * tangent, torch.tensor([20])) for sign in (1, -1)]
    torch.testing.assert_close(exact, (ends[0] - ends[1]) / (2 * step), atol=1e-6, rtol=1e-6)
