"""Where chunks start and how they are denoised: Sobol noise, the solver's noise levels, the fast solver."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.fft import idct
from scipy.special import ndtri
from scipy.stats import qmc

from dlscore.common.arrays import Array
from dlscore.policy.diffusion import Policy
from dlscore.scores.base import ScorerError

NEIGHBOURHOOD = 3.0  # [steps] width of the neighbourhood of the current action


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
    # (H, H) orthonormal columns. LAPACK does not define the signs of QR, so they are fixed here.
    nearby = np.exp(-0.5 * ((np.arange(horizon) - current) / NEIGHBOURHOOD) ** 2)
    columns = np.column_stack([nearby, idct(np.eye(horizon), axis=0, norm="ortho")])
    q, r = np.linalg.qr(columns)
    signed: Array = q * np.where(np.diag(r[:, :horizon]) < 0, -1.0, 1.0)
    return signed


def nodes(policy: Policy, steps: int, last: int) -> list[int]:
    """steps + 1 timesteps from near the start of the schedule down to `last`, the lower ones uniform in log SNR.

    They do not begin at the very start, where a real network's E[x_0 | x_t] is far out of range (20 at timestep 98 of 100,
    for data within 1), which a long step would carry along. At 96 all but 0.2 % of a chunk's variance is still noise.
    """
    count = len(policy.alphas_cumprod)
    first, second = policy.scale_timestep(96), policy.scale_timestep(87)
    if not 0 < last < second - steps:
        raise ScorerError(
            f"--solver-steps {steps} do not fit between timesteps {second} and {last} of a schedule of {count}; choose "
            "fewer, or a lower --noise-timestep"
        )
    log_snr = policy.log_snr()
    targets = np.linspace(log_snr[second], log_snr[last], steps)
    lower = [int(np.argmin(np.abs(log_snr - target))) for target in targets]
    for k in range(1, len(lower)):  # in a coarse schedule rounded timesteps may coincide
        lower[k] = min(lower[k], lower[k - 1] - 1)
    if lower[-1] != last:
        raise ScorerError(
            f"--solver-steps {steps} do not fit between timesteps {second} and {last} of a schedule of {count}; choose fewer"
        )
    return [first, *lower]


def fast_solver(policy: Policy, timesteps: list[int]) -> Any:
    """DPM-Solver++ of second order (Lu et al. 2022, algorithm 2) from timesteps[0] to timesteps[-1]."""
    from diffusers import DPMSolverMultistepScheduler

    # Tweedie needs ε, and Policy.epsilon returns it whatever the network was trained to predict. The betas are passed on,
    # because the policy's scheduler has schedules that this one does not.
    betas = policy.scheduler.betas.tolist()
    solver = DPMSolverMultistepScheduler.from_config(
        policy.scheduler.config, algorithm_type="dpmsolver++", solver_order=2, prediction_type="epsilon",
        trained_betas=betas,
    )  # fmt: skip
    solver.set_timesteps(timesteps=timesteps)
    return solver


def own_sampler(policy: Policy, levels: tuple[int, int]) -> Any:
    """The policy's own scheduler. Raises ScorerError if it does not visit both noise levels."""
    scheduler = type(policy.scheduler).from_config(policy.scheduler.config, prediction_type="epsilon")
    scheduler.set_timesteps(policy.policy.diffusion.num_inference_steps)
    visited = [int(t) for t in scheduler.timesteps]
    for t in levels:
        if t not in visited[1:]:
            raise ScorerError(
                f"timestep {t} is not one of the {len(visited)} steps of the policy's own sampler; use --sampler solver"
            )
    return scheduler
