"""Data predictions, and the posterior of the current action, of noisy chunks y = x_t / α_t at a noise level v = σ_t / α_t.

For a chunk y, Tweedie's formulas (Robbins 1956; Efron 2011, eq. 1.4; second order: Meng et al. 2021, eq. 10) give the mean and
covariance of the clean chunk x₀ from the network's ε(x_t, t):

    D(y) = E[x₀ | y]  = y - v ε
    C    = Cov[x₀ | y] = v² ∂D/∂y
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.scores.base import ScorerError

DIFFERENCE = 0.1  # step of the finite difference, in units of v


@dataclass(frozen=True)
class Posterior:
    """Of S × M chunks, normalised: `mean` (S, M, H, 2) tensor of whole chunks; of the current action the `covariance` C
    (S, M, 2, 2), its blocks of C² and C³ over whole chunks, `square` and `cube`, alike, and `residual` (S, M, 2), its rows of
    C (y - D)."""

    mean: Tensor
    covariance: Array
    square: Array
    cube: Array
    residual: Array


def predict_data(policy: DenoiserPolicy, conditioning: Tensor, y: Tensor, t: int) -> Tensor:
    """D(y) (S, M, H, 2) of chunks y (S, M, H, 2) at timestep t. Raises ScorerError if it is not finite."""
    alpha, v = policy.noise_level(t)[0], float(policy.levels[t])
    found = y - v * policy.epsilon(alpha * y, t, conditioning)
    if not bool(torch.isfinite(found).all()):
        raise ScorerError(
            f"the network's prediction at timestep {t} is not finite; check the policy's weights and statistics"
        )
    return found


@torch.inference_mode()
def find_posterior(policy: DenoiserPolicy, conditioning: Tensor, y: Tensor, t: int) -> Posterior:
    """The posterior of chunks y (S, M, H, 2) at timestep t: three evaluations each, the Jacobian by forward differences."""
    now, v = policy.current, float(policy.levels[t])
    mean = predict_data(policy, conditioning, y, t)
    columns = []
    for axis in range(2):
        moved = y.clone()
        moved[:, :, now, axis] += DIFFERENCE * v
        columns.append((predict_data(policy, conditioning, moved, t) - mean) * (v / DIFFERENCE))
    whole = torch.stack(columns, dim=-1).cpu().double().numpy()  # (S, M, H, 2, 2): two columns of C
    square = np.einsum("smhca,smhcb->smab", whole, whole)
    residual = np.einsum("smhca,smhc->sma", whole, (y - mean).cpu().double().numpy())
    return Posterior(mean, symmetric(whole[:, :, now]), square, _cube(whole, now), residual)


def _cube(columns: Array, now: int) -> Array:
    # The current action's block of C³, for which the other columns of C are taken to be the two known ones, moved in time.
    steps, samples, horizon = columns.shape[:3]
    by_lag = np.zeros_like(columns)
    by_lag[:, :, : horizon - now] = columns[:, :, now:]
    for lag in range(1, min(now, horizon - 1 - now) + 1):
        by_lag[:, :, lag] = (by_lag[:, :, lag] + columns[:, :, now - lag]) / 2
    lags = np.abs(np.arange(horizon)[:, None] - np.arange(horizon))
    flat = columns.reshape(steps, samples, 2 * horizon, 2)
    every = symmetric(by_lag)[:, :, lags].swapaxes(3, 4).reshape(steps, samples, 2 * horizon, 2 * horizon)
    return symmetric(flat.swapaxes(-1, -2) @ (every @ flat))


def symmetric(matrices: Array) -> Array:
    """The symmetric parts of matrices (…, n, n)."""
    symmetric: Array = (matrices + matrices.swapaxes(-1, -2)) / 2
    return symmetric
