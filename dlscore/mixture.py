"""The density of the current action as a mixture of posterior Gaussians.

For a chunk x_t at noise level t, Tweedie's formulas (Robbins 1956; Efron 2011, eq. 1.4; second order: Meng et al. 2021,
eq. 10) give the mean and covariance of the clean chunk x_0 from the network's ε(x_t, t):

    E[x_0 | x_t]   = (x_t - σ_t ε) / α_t
    Cov[x_0 | x_t] = (σ_t² / α_t) ∂E[x_0 | x_t] / ∂x_t  =  (σ_t² / α_t²) (I - σ_t ∂ε / ∂x_t)

and with M chunks x_t of the model's own marginal, p(a) ≈ 1/M Σ N(a; m_i, C_i), where m_i and C_i are the current
action's entry and 2 × 2 block. A small t leaves little for the Gaussian to approximate.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.fft import idct
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

from dlscore.grid import ACTION_SPAN, Grid
from dlscore.policy import Policy
from dlscore.scorers import ScorerError

Array = NDArray[Any]

DIFFERENCE = 0.1  # step of the finite difference, in units of σ_t
NARROWEST = 0.008  # smallest standard deviation of a component in normalised units, about 2 px


@lru_cache(maxsize=4)
def sobol_noise(samples: int, horizon: int, seed: int) -> Array:
    """(M, H, 2) standard normal chunks from one scrambled Sobol sequence (Owen 1998), float32.

    The sequence's first and best dimensions go to the lowest temporal frequencies (DCT-II modes) of the chunk, which
    carry most of what distinguishes one chunk from another.
    """
    if samples & (samples - 1):
        raise ScorerError(f"--samples {samples} is not allowed; a Sobol sequence is balanced at powers of 2 only")
    points = qmc.Sobol(2 * horizon, scramble=True, rng=np.random.default_rng(seed)).random(samples)
    modes = ndtri(np.clip(points, 1e-10, 1 - 1e-10)).reshape(samples, horizon, 2)
    noise: Array = idct(modes, axis=1, norm="ortho").astype(np.float32)
    noise.flags.writeable = False  # it is shared
    return noise


def nodes(policy: Policy, steps: int, last: int) -> list[int]:
    """steps + 1 timesteps from near the start of the schedule down to `last`, the lower ones uniform in log SNR."""
    count = len(policy.alphas_cumprod)
    first, second = round(0.98 * count), round(0.90 * count)
    if steps < 2 or not 0 < last < second - steps:
        raise ScorerError(
            f"--solver-steps {steps} to --noise-timestep {last} is not allowed; choose at least 2 steps and a timestep "
            f"from 1 to {second - steps - 1}"
        )
    log_snr = policy.log_snr()
    targets = np.linspace(log_snr[second], log_snr[last], steps)
    lower = [int(np.argmin(np.abs(log_snr - target))) for target in targets]
    for k in range(1, len(lower)):  # integers may fall together where the schedule is coarse
        lower[k] = min(lower[k], lower[k - 1] - 1)
    if lower[-1] != last:
        raise ScorerError(f"--solver-steps {steps} do not fit between timesteps {second} and {last}; choose fewer")
    return [first, *lower]


@torch.inference_mode()
def denoise(policy: Policy, conditioning: Tensor, noise: Tensor, timesteps: list[int]) -> Tensor:
    """Chunks x_t (M, H, 2) at t = timesteps[-1] from x ~ N(0, I) at timesteps[0], by DPM-Solver++ (Lu et al. 2022)."""
    from diffusers import DPMSolverMultistepScheduler

    # Tweedie needs ε, and Policy.epsilon gives it whatever the network was trained to predict.
    solver = DPMSolverMultistepScheduler.from_config(
        policy.scheduler.config, algorithm_type="dpmsolver++", solver_order=2, prediction_type="epsilon"
    )
    solver.set_timesteps(timesteps=timesteps)
    x = noise
    for t in timesteps[:-1]:
        x = solver.step(policy.epsilon(x, t, conditioning), t, x).prev_sample
    return x


@torch.inference_mode()
def posterior(policy: Policy, conditioning: Tensor, x: Tensor, t: int) -> tuple[Array, Array]:
    """Means (M, 2) and covariances (M, 2, 2) of the current action given chunks x_t (M, H, 2); normalised units."""
    alpha, sigma = policy.noise_level(t)
    now = policy.current
    step = DIFFERENCE * sigma
    base = policy.epsilon(x, t, conditioning)[:, now]
    columns = []
    for axis in range(2):
        moved = x.clone()
        moved[:, now, axis] += step
        columns.append((policy.epsilon(moved, t, conditioning)[:, now] - base) / step)
    jacobian = torch.stack(columns, dim=-1).cpu().double().numpy()  # [m, component of ε, component of x]
    mean = ((x[:, now] - sigma * base) / alpha).cpu().double().numpy()
    covariance = (sigma / alpha) ** 2 * (np.eye(2) - sigma * jacobian)
    covariance = (covariance + covariance.swapaxes(1, 2)) / 2
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, NARROWEST**2)
    return mean, (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)


def log_cell_density(mean: Array, covariance: Array, grid: Grid) -> Array:
    """(N, N) log of the mixture's mean density over each cell [nats / px²]; mean (M, 2) px, covariance (M, 2, 2) px².

    Cells are integrated by Gauss-Legendre points, as many as keep neighbouring ones well within a deviation of the
    narrowest component: a mode narrower than a cell is neither missed nor counted twice. Where the integral would
    underflow, far from every component, the log density at the cell's centre stands for it.
    """
    narrowest = float(np.sqrt(np.linalg.eigvalsh(covariance).min()))
    order = int(np.clip(1 + np.ceil(1.25 * grid.cell / narrowest), 2, 24))
    offsets, weights = leggauss(order)
    axis = (grid.centres[:, None] + offsets * grid.cell / 2).ravel()
    n, weight = grid.resolution, torch.from_numpy(weights / 2)
    rows = []
    for centre, y in zip(grid.centres, axis.reshape(n, order), strict=True):  # a row of cells at a time bounds memory
        # e^-700 is the last power that is no denormal number; those are 20 times slower and would add nothing.
        points = _log_components(mean, covariance, axis, y).clamp_(min=-700).exp_().sum(dim=-1)
        density = torch.einsum("yxk,y,k->x", points.reshape(order, n, order), weight, weight)
        far = torch.logsumexp(_log_components(mean, covariance, grid.centres, np.array([centre]))[0], dim=-1)
        rows.append(torch.where(density > 1e-250, density.log(), far))
    cells: Array = (torch.stack(rows) - np.log(len(mean))).numpy()
    return cells


def _log_components(mean: Array, covariance: Array, x: Array, y: Array) -> Tensor:
    # (len(y), len(x), M) log density of every component: -½ (a-m)ᵀ P (a-m) + const is a product of the coordinates'
    # monomials with its coefficients. Coordinates are centred so that the terms that cancel stay small.
    centre = ACTION_SPAN / 2
    precision, (mx, my) = np.linalg.inv(covariance), (mean - centre).T
    pxx, pxy, pyy = precision[:, 0, 0], precision[:, 0, 1], precision[:, 1, 1]
    constant = -0.5 * (pxx * mx**2 + 2 * pxy * mx * my + pyy * my**2)
    constant += -0.5 * np.log(np.linalg.det(covariance)) - np.log(2 * np.pi)
    coefficients = np.stack([-pxx / 2, -pxy, -pyy / 2, pxx * mx + pxy * my, pxy * mx + pyy * my, constant])
    yy, xx = np.meshgrid(y - centre, x - centre, indexing="ij")
    monomials = np.stack([xx**2, xx * yy, yy**2, xx, yy, np.ones_like(xx)], axis=-1)
    return torch.from_numpy(monomials) @ torch.from_numpy(coefficients)
