"""The steps of a policy's own sampler as numbers, and what they make of a Gaussian.

With x̂₀ the network's prediction of the clean chunk from x_t, each step of DDPM (Ho et al. 2020, eq. 6 and 7) and of DDIM
without noise (Song et al. 2021, eq. 12) is

    x ← c₀ x̂₀ + c₁ x + √(noise variance) ξ,   ξ ~ N(0, I)

whatever the network was trained to predict. Any sampler of this form fits, such as Euler steps of a flow. The numbers
are read off the scheduler's own `step`, with its rounding. A scheduler that clips x̂₀ to [-clip, clip] adds
c_clip · (clip(x̂₀) - x̂₀); c_clip differs from c₀ where the step also uses the noise that the unclipped x̂₀ implies (DDIM).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import suggest
from dlscore.policy.base import inference
from dlscore.policy.errors import PolicyError

# What a step's numbers are known for. Others, such as a learned variance, are not of the form above.
KNOWN: dict[str, dict[str, tuple[Any, ...]]] = {
    "DDPMScheduler": {
        "prediction_type": ("epsilon", "sample"),
        "variance_type": ("fixed_small", "fixed_small_log", "fixed_large"),
        "thresholding": (False,),
    },
    "DDIMScheduler": {"prediction_type": ("epsilon", "sample"), "thresholding": (False,)},
}


class SamplerStep(NamedTuple):
    """x ← c₀ x̂₀ + c₁ x + c_clip (clip(x̂₀) - x̂₀) + √noise_variance ξ, from the noise level (α, σ) of timestep t."""

    t: int
    c0: float
    c1: float
    noise_variance: float
    alpha: float
    sigma: float
    c_clip: float


@dataclass(frozen=True)
class SamplerSteps:
    """The `steps` of a sampler, in the order of sampling, and the `clip` of x̂₀ in normalised units (None: not clipped)."""

    steps: tuple[SamplerStep, ...]
    clip: float | None

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[SamplerStep]:
        return iter(self.steps)

    def __getitem__(self, index: int) -> SamplerStep:
        return self.steps[index]

    def advance(self, step: SamplerStep, denoised: Any, x: Any, noise: Any = 0.0) -> Any:
        """The next x from x̂₀ and x (arrays or tensors of one shape) and standard normal `noise`."""
        clipped = denoised if self.clip is None else denoised.clip(-self.clip, self.clip)
        moved = step.c_clip * clipped + step.c1 * x
        if step.c0 != step.c_clip:
            moved += (step.c0 - step.c_clip) * denoised
        if step.noise_variance:
            moved += step.noise_variance**0.5 * noise
        return moved


@inference
def sampler_steps(scheduler: Any, num_inference_steps: int) -> SamplerSteps:
    """The steps of a diffusers scheduler with `num_inference_steps`; the scheduler itself stays as it is.

    Raises PolicyError for a scheduler, or options of one, whose steps are not of the form above.
    """
    _check(scheduler)
    own = copy.deepcopy(scheduler)
    own.set_timesteps(num_inference_steps)
    clip = float(own.config.clip_sample_range) if own.config.clip_sample else None
    return SamplerSteps(tuple(_probe(own, int(t), clip) for t in own.timesteps), clip)


def gaussian_path(
    steps: Sequence[SamplerStep], mean: Any, variance: Any, start_mean: Any = 0.0, start_variance: Any = 1.0
) -> tuple[Array, Array]:
    """(means, variances) of x before each step and after the last: two arrays (len(steps) + 1, …), of unclipped steps.

    For data N(mean, variance), broadcast together, a perfect network predicts x̂₀ = m + k (x - α m) with
    k = α λ / (α² λ + σ²) (the conditional mean of a Gaussian), so x stays Gaussian. mean and variance are those along an
    eigenvector of the data's covariance, in the units of x. The start is N(0, 1), as the sampler's; a given x at
    steps[0] is start_mean = x, start_variance = 0, and the last entry is then the law of the sample given x.
    """
    shape = np.broadcast_shapes(*(np.shape(each) for each in (mean, variance, start_mean, start_variance)))
    means, variances = np.empty((len(steps) + 1, *shape)), np.empty((len(steps) + 1, *shape))
    means[0], variances[0] = start_mean, start_variance
    for k, step in enumerate(steps):
        gain = gaussian_gain(step, variance)
        means[k + 1] = step.c0 * (mean + gain * (means[k] - step.alpha * mean)) + step.c1 * means[k]
        variances[k + 1] = (step.c0 * gain + step.c1) ** 2 * variances[k] + step.noise_variance
    return means, variances


def gaussian_gain(step: SamplerStep, variance: Any) -> Any:
    """∂x̂₀/∂x of a perfect network for Gaussian data of this variance, at the step's noise level."""
    return step.alpha * variance / (step.alpha**2 * variance + step.sigma**2)


def _probe(scheduler: Any, t: int, clip: float | None) -> SamplerStep:
    import torch

    # One call with four entries: nothing; x̂₀ alone; x alone, as far as x̂₀ allows; x̂₀ beyond the clip.
    alpha_squared = float(scheduler.alphas_cumprod[t].double())
    alpha, sigma = alpha_squared**0.5, (1 - alpha_squared) ** 0.5
    if not 0 < alpha_squared < 1:
        raise PolicyError(
            f"timestep {t} of the policy's noise schedule has ᾱ = {alpha_squared}, from which no network can tell a chunk; "
            "use a schedule between 0 and 1, such as squaredcos_cap_v2"
        )
    of_noise, inside = scheduler.config.prediction_type == "epsilon", 0.5 * (clip or 1.0)
    denoised = torch.tensor([[0.0, inside, inside if of_noise else 0.0, 4 * inside]], dtype=torch.float64)
    x = torch.tensor([[0.0, 0.0, alpha * inside, 0.0]], dtype=torch.float64)
    output = (x - alpha * denoised) / sigma if of_noise else denoised
    result = scheduler.step(output, t, x, generator=torch.Generator().manual_seed(t))
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(t), dtype=torch.float64)
    deviation = float(result.prev_sample[0, 0] / noise[0, 0])
    moved = (result.prev_sample - deviation * noise)[0].tolist()
    seen = result.pred_original_sample[0].tolist()  # x̂₀ as the scheduler rounds it, clipped
    c0 = moved[1] / seen[1]
    c1 = (moved[2] - c0 * seen[2]) / float(x[0, 2])
    beyond = 4 * seen[1]
    c_clip = c0 if clip is None else (moved[3] - c0 * beyond) / (clip - beyond)
    if abs(c_clip - c0) < 1e-9 * abs(c0):  # the same but for the rounding of the division
        c_clip = c0
    return SamplerStep(t, c0, c1, deviation**2, alpha, sigma, c_clip)


def _check(scheduler: Any) -> None:
    kind = type(scheduler).__name__
    if kind not in KNOWN:
        raise PolicyError(f"sampler {kind} is not known; {suggest(kind, KNOWN)}")
    for option, allowed in KNOWN[kind].items():
        value = scheduler.config[option]
        if value not in allowed:
            raise PolicyError(
                f"{option} {value!r} of the policy's {kind} is not known; it must be {' or '.join(map(repr, allowed))}"
            )
