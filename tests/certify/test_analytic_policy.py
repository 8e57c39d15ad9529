"""The analytic policy is the exact denoiser of its mixture."""

import numpy as np
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
    policy = analytic_policy.make_policy(mixture)
    x, given = torch.randn(1, 5, policy.horizon, 2), analytic_policy.encode_observation(policy)
    epsilon = policy.epsilon(x, 30, given)
    alpha, sigma = policy.noise_level(30)
    plain = policy.policy.diffusion.unet

    class Sample(torch.nn.Module):
        def forward(self, x, t, global_cond):
            return (x - sigma * plain(x, t, global_cond)) / alpha

    policy.policy.diffusion.unet, policy.config.prediction_type = Sample(), "sample"
    torch.testing.assert_close(policy.epsilon(x, 30, given), epsilon, atol=1e-4, rtol=1e-4)
