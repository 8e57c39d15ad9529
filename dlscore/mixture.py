"""The density of the current action as a mixture of posterior Gaussians.

For a chunk x_t at noise level t, Tweedie's formulas (Robbins 1956; Efron 2011, eq. 1.4; second order: Meng et al. 2021,
eq. 10) give the mean and covariance of the clean chunk x_0 from the network's ε(x_t, t):

    E[x_0 | x_t]   = (x_t - σ_t ε) / α_t
    Cov[x_0 | x_t] = (σ_t² / α_t) ∂E[x_0 | x_t] / ∂x_t  =  (σ_t² / α_t²) (I - σ_t ∂ε / ∂x_t)

and with M chunks x_t of the model's own marginal, p(a) ≈ 1/M Σ N(a; m_i, C_i), where m_i and C_i are the current
action's entry and 2 × 2 block. A small t leaves little for the Gaussian to approximate, but needs many chunks to be
smooth; `levels` gives the mixture at a coarse t, and at a finer one for some of the chunks (`two_levels` joins them).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import idct
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

from dlscore.diffusion import Policy
from dlscore.scorers import ScorerError

Array = NDArray[Any]

DIFFERENCE = 0.1  # step of the finite difference, in units of σ_t
NARROWEST = 0.008  # smallest standard deviation of a component in normalised units, about 2 px
NEIGHBOURHOOD = 3.0  # [steps] how far the chunk's noise around the current action is taken together


@dataclass(frozen=True)
class Gaussians:
    """Components of a mixture for S steps: `mean` (S, M, 2) [px], `covariance` (S, M, 2, 2) [px²]; equal weights."""

    mean: Array
    covariance: Array


@lru_cache(maxsize=4)
def sobol_noise(samples: int, horizon: int, current: int, seed: int) -> Array:
    """(M, H, 2) standard normal chunks from one scrambled Sobol sequence (Owen 1998), float32.

    The sequence's first and best dimensions go to what decides the current action: the noise in its neighbourhood, then
    the chunk's temporal frequencies (DCT-II modes) from low to high.
    """
    if samples & (samples - 1):
        raise ScorerError(f"--samples {samples} is not allowed; a Sobol sequence is balanced at powers of 2 only")
    points = qmc.Sobol(2 * horizon, scramble=True, rng=np.random.default_rng(seed)).random(samples)
    normal = ndtri(np.clip(points, 1e-10, 1 - 1e-10)).reshape(samples, horizon, 2)
    noise: Array = np.einsum("hj,mjc->mhc", _directions(horizon, current), normal).astype(np.float32)
    noise.flags.writeable = False  # it is shared
    return noise


def _directions(horizon: int, current: int) -> Array:
    # (H, H) orthonormal columns. QR's signs are LAPACK's own affair, so they are fixed here.
    nearby = np.exp(-0.5 * ((np.arange(horizon) - current) / NEIGHBOURHOOD) ** 2)
    columns = np.column_stack([nearby, idct(np.eye(horizon), axis=0, norm="ortho")])
    q, r = np.linalg.qr(columns)
    signed: Array = q * np.where(np.diag(r[:, :horizon]) < 0, -1.0, 1.0)
    return signed


def nodes(policy: Policy, steps: int, last: int) -> list[int]:
    """steps + 1 timesteps from near the start of the schedule down to `last`, the lower ones uniform in log SNR.

    Not from the very start: there a real network's E[x_0 | x_t] is far out of range (20 at timestep 98 of 100, where
    the data end at 1), and one long step carries that along. At 96 a chunk is still noise to 0.2 % of its variance.
    """
    count = len(policy.alphas_cumprod)
    first, second = policy.of_hundred(96), policy.of_hundred(87)
    if not 0 < last < second - steps:
        raise ScorerError(
            f"--solver-steps {steps} do not fit between timesteps {second} and {last} of a schedule of {count}; choose "
            "fewer, or a lower --noise-timestep"
        )
    log_snr = policy.log_snr()
    targets = np.linspace(log_snr[second], log_snr[last], steps)
    lower = [int(np.argmin(np.abs(log_snr - target))) for target in targets]
    for k in range(1, len(lower)):  # integers may fall together where the schedule is coarse
        lower[k] = min(lower[k], lower[k - 1] - 1)
    if lower[-1] != last:
        raise ScorerError(
            f"--solver-steps {steps} do not fit between timesteps {second} and {last} of a schedule of {count}; choose fewer"
        )
    return [first, *lower]


def fast_solver(policy: Policy, timesteps: list[int]) -> Any:
    """DPM-Solver++ of second order (Lu et al. 2022, algorithm 2) from timesteps[0] to timesteps[-1]."""
    from diffusers import DPMSolverMultistepScheduler

    # Tweedie needs ε, and Policy.epsilon gives it whatever the network was trained to predict. The betas are handed over,
    # since the policy's own scheduler knows schedules that this one does not.
    betas = policy.scheduler.betas.tolist()
    solver = DPMSolverMultistepScheduler.from_config(
        policy.scheduler.config, algorithm_type="dpmsolver++", solver_order=2, prediction_type="epsilon",
        trained_betas=betas,
    )  # fmt: skip
    solver.set_timesteps(timesteps=timesteps)
    return solver


def own_sampler(policy: Policy, levels: tuple[int, int]) -> Any:
    """The policy's own scheduler; ScorerError where it does not come to both noise levels."""
    scheduler = type(policy.scheduler).from_config(policy.scheduler.config, prediction_type="epsilon")
    scheduler.set_timesteps(policy.policy.diffusion.num_inference_steps)
    visited = [int(t) for t in scheduler.timesteps]
    for t in levels:
        if t not in visited[1:]:
            raise ScorerError(
                f"timestep {t} is not one that the policy's own sampler comes to in its {len(visited)} steps; use --sampler "
                "solver"
            )
    return scheduler


@torch.inference_mode()
def levels(
    policy: Policy, conditioning: Tensor, noise: Tensor, scheduler: Any, at: tuple[int, int], chosen: Array, seed: int
) -> tuple[Gaussians, Gaussians]:
    """The mixtures at the coarse t = at[0] of all chunks and at the fine t = at[1] of the `chosen` ones, for S steps.

    `noise` (1, M, H, 2) is where the chunks of every step start. `scheduler` goes from its first timestep through both
    levels; what noise it adds depends on `seed` alone, so a step comes out the same in any company.
    """
    coarse, fine = at
    # Another seed than the start's: the same would give its numbers once more.
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
def posterior(policy: Policy, conditioning: Tensor, x: Tensor, t: int, epsilon: Tensor) -> Gaussians:
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
    return Gaussians(policy.to_px(mean), covariance * np.outer(policy.px_per_unit, policy.px_per_unit))
