"""The density of the current action as a mixture of posterior Gaussians.

For a chunk x_t at noise level t, Tweedie's formulas (Robbins 1956; Efron 2011, eq. 1.4; second order: Meng et al. 2021,
eq. 10) give the mean and covariance of the clean chunk x_0 from the network's ε(x_t, t):

    E[x_0 | x_t]   = (x_t - σ_t ε) / α_t
    Cov[x_0 | x_t] = (σ_t² / α_t) ∂E[x_0 | x_t] / ∂x_t  =  (σ_t² / α_t²) (I - σ_t ∂ε / ∂x_t)

With M chunks x_t of the model's own marginal, p(a) ≈ 1/M Σ N(a; m_i, C_i), where m_i and C_i are the current action's
entry and 2 × 2 block. A small t leaves little for the Gaussian to approximate, but needs many chunks for a smooth density.
`two_level_mixtures` returns the mixture at a coarse t, and at a finer one for some of the chunks (`multilevel` combines
them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.policy.diffusion import Policy
from dlscore.scores.base import ScorerError

DIFFERENCE = 0.1  # step of the finite difference, in units of σ_t
NARROWEST = 0.008  # smallest standard deviation of a component in normalised units, about 2 px


@dataclass(frozen=True)
class GaussianMixture:
    """Components of a mixture for S steps: `mean` (S, M, 2) [px], `covariance` (S, M, 2, 2) [px²]; equal weights."""

    mean: Array
    covariance: Array


@torch.inference_mode()
def two_level_mixtures(
    policy: Policy, conditioning: Tensor, noise: Tensor, scheduler: Any, at: tuple[int, int], chosen: Array, seed: int
) -> tuple[GaussianMixture, GaussianMixture]:
    """The mixtures at the coarse t = at[0] of all chunks, and at the fine t = at[1] of the `chosen` ones, for S steps.

    noise: (1, M, H, 2), where the chunks of every step start. scheduler: goes from its first timestep through both levels.
    The noise that it adds depends on `seed` alone, so a step's result does not depend on the other steps of its batch.
    """
    coarse, fine = at
    # Not the seed of the start, which would repeat its numbers.
    state = int(np.random.SeedSequence((seed, 1)).generate_state(1)[0])
    streams = [torch.Generator().manual_seed(state) for _ in conditioning]
    x = noise.expand(len(conditioning), -1, -1, -1)
    first = None
    for t in map(int, scheduler.timesteps):
        if t == fine:
            break
        epsilon = policy.epsilon(x, t, conditioning)
        if t == coarse:
            first = posterior(policy, conditioning, x, t, epsilon)
        x = scheduler.step(epsilon, t, x, generator=streams).prev_sample
        if t == coarse:
            x = x[:, torch.as_tensor(chosen, device=x.device)]
    assert first is not None
    return first, posterior(policy, conditioning, x, fine, policy.epsilon(x, fine, conditioning))


@torch.inference_mode()
def posterior(policy: Policy, conditioning: Tensor, x: Tensor, t: int, epsilon: Tensor) -> GaussianMixture:
    """The current action given chunks x_t (S, M, H, 2), whose ε is known; the Jacobian is by forward differences."""
    alpha, sigma = policy.noise_level(t)
    now = policy.current
    step = DIFFERENCE * sigma
    base = epsilon[:, :, now]
    columns = []
    for axis in range(2):
        moved = x.clone()
        moved[:, :, now, axis] += step
        columns.append((policy.epsilon(moved, t, conditioning)[:, :, now] - base) / step)
    jacobian = torch.stack(columns, dim=-1).cpu().double().numpy()  # [s, m, component of ε, component of x]
    mean = ((x[:, :, now] - sigma * base) / alpha).cpu().double().numpy()
    if not (np.isfinite(mean).all() and np.isfinite(jacobian).all()):
        raise ScorerError(
            f"the network's prediction at timestep {t} is not finite; check the policy's weights and statistics"
        )
    covariance = (sigma / alpha) ** 2 * (np.eye(2) - sigma * jacobian)
    covariance = (covariance + covariance.swapaxes(-1, -2)) / 2
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, NARROWEST**2)
    covariance = (vectors * values[..., None, :]) @ vectors.swapaxes(-1, -2)
    return GaussianMixture(policy.to_px(mean), covariance * np.outer(policy.px_per_unit, policy.px_per_unit))
