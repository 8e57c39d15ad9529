"""The Gaussian paths of denoisers, x = α A + σ ε, by the levels v = σ / α at which their networks are asked.

A chunk A and noise ε ~ N(0, I) make x. Whatever a network predicts, it gives ε̂(x), and all that scoring needs follows from it
(Robbins 1956). DDPM has α² = ᾱ_t, σ² = 1 - ᾱ_t (Ho et al. 2020, eq. 4). Flow matching goes in a straight line from noise to
data (Lipman et al. 2023, eq. 20 to 23): at time τ

    α = τ,   σ = 1 - (1 - σ_min) τ,   velocity u = A - (1 - σ_min) ε,   ε̂ = x - τ u

A network that was trained the other way round, with α = 1 - t, σ = t and u = ε - A, is the same at τ = 1 - t with -u.
A level is told by its index in `levels`, which rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from dlscore.common.arrays import Array
from dlscore.policy.errors import PolicyError
from dlscore.policy.sampler_steps import SamplerStep, SamplerSteps, sampler_steps

__all__ = ["DiffusionPath", "FlowPath", "GaussianPath"]

LOWEST, HIGHEST, COUNT = 1e-3, 100.0, 4608  # a flow's levels are 0.25 % apart, so that rounding to one does not show
OFFSET = 0.008  # of the squared cosine schedule


class GaussianPath(Protocol):
    """How a network is asked at a level, and what its own sampler does."""

    @property
    def levels(self) -> Array:
        """(L,) v = σ / α, rising."""
        ...

    def noise_level(self, t: int) -> tuple[float, float]:
        """(α, σ) of level t."""
        ...

    def time(self, t: int) -> float:
        """What the network is told of level t."""
        ...

    def noise(self, output: Any, x: Any, t: int) -> Any:
        """ε̂ from the network's output for x at level t."""
        ...

    def scale_timestep(self, t: int) -> int:
        """The level that corresponds to timestep t of 100."""
        ...

    def own_steps(self) -> SamplerSteps:
        """The steps of the policy's own sampler, `t` being levels. Raises PolicyError where they are not known."""
        ...


@dataclass(frozen=True, eq=False)
class DiffusionPath:
    """The noise schedule of a diffusers `scheduler`, sampled in `steps` steps; levels are its timesteps."""

    scheduler: Any
    steps: int

    @cached_property
    def alphas_cumprod(self) -> Array:
        """(timesteps,) ᾱ_t."""
        found: Array = self.scheduler.alphas_cumprod.cpu().double().numpy()
        return found

    @cached_property
    def levels(self) -> Array:
        """(timesteps,) v = σ_t / α_t, rising with t."""
        found: Array = np.sqrt(1 / self.alphas_cumprod - 1)
        return found

    def noise_level(self, t: int) -> tuple[float, float]:
        """(α_t, σ_t)."""
        return float(np.sqrt(self.alphas_cumprod[t])), float(np.sqrt(1 - self.alphas_cumprod[t]))

    def time(self, t: int) -> float:
        """t itself."""
        return t

    def noise(self, output: Any, x: Any, t: int) -> Any:
        """ε̂ of a network that predicts ε or the clean chunk."""
        alpha, sigma = self.noise_level(t)
        return (x - alpha * output) / sigma if self.scheduler.config.prediction_type == "sample" else output

    def scale_timestep(self, t: int) -> int:
        """The timestep of this schedule that corresponds to t in a schedule of 100."""
        count = len(self.alphas_cumprod)
        return max(0, round((t + 1) * count / 100) - 1)  # timestep t ends its part of the schedule

    def own_steps(self) -> SamplerSteps:
        """The scheduler's own steps (`sampler_steps`)."""
        return sampler_steps(self.scheduler, self.steps)


@dataclass(frozen=True)
class FlowPath:
    """Flow matching with `sigma_min`, integrated in `steps` steps by `method`.

    backwards: the network's time runs from data to noise, and its velocity is ε - A (π₀, SmolVLA). Levels are those that Euler
    steps visit, of which the last is pure noise, v = ∞, and COUNT others, even in log v.
    """

    steps: int
    sigma_min: float = 0.0
    backwards: bool = False
    method: str = "euler"

    @cached_property
    def levels(self) -> Array:
        """(L,) v, rising to ∞."""
        ladder = np.geomspace(LOWEST, HIGHEST, COUNT)
        found: Array = np.unique(np.concatenate([ladder[ladder > self.sigma_min], self._visited]))
        return found

    @property
    def _visited(self) -> Array:
        # Levels at τ = 0, 1/n, …: falling from ∞.
        tau = np.arange(self.steps) / self.steps
        with np.errstate(divide="ignore"):
            return np.asarray(1 / tau - (1 - self.sigma_min))

    def tau(self, t: int) -> float:
        """The time from noise to data, 1 / (v + 1 - σ_min)."""
        return float(1 / (self.levels[t] + 1 - self.sigma_min))

    def noise_level(self, t: int) -> tuple[float, float]:
        """(τ, 1 - (1 - σ_min) τ)."""
        tau = self.tau(t)
        return tau, 1 - (1 - self.sigma_min) * tau

    def time(self, t: int) -> float:
        """τ, or 1 - τ backwards."""
        return 1 - self.tau(t) if self.backwards else self.tau(t)

    def noise(self, output: Any, x: Any, t: int) -> Any:
        """ε̂ = x - τ u."""
        return x + self.tau(t) * output if self.backwards else x - self.tau(t) * output

    def scale_timestep(self, t: int) -> int:
        """The level nearest to that of timestep t in the squared cosine schedule of 100 (Nichol & Dhariwal 2021, eq. 17)."""
        ends = np.array([0.0, (t + 1) / 100])
        alpha = np.cos((ends + OFFSET) / (1 + OFFSET) * np.pi / 2)
        level = np.sqrt((alpha[0] / alpha[1]) ** 2 - 1)
        return int(np.abs(np.log(self.levels / level)).argmin())

    def own_steps(self) -> SamplerSteps:
        """Euler steps: x + u dτ = x + (x̂₀ - (1 - σ_min) x) dτ / σ. They clip nothing and add no noise."""
        if self.method != "euler":
            raise PolicyError(
                f"executed densities are known for Euler steps, and the policy integrates by {self.method!r}; choose "
                "--density model"
            )
        dt, found = 1 / self.steps, []
        for level in self._visited:
            t = int(np.searchsorted(self.levels, level))
            alpha, sigma = self.noise_level(t)
            c0 = dt / sigma
            found.append(SamplerStep(t, c0, 1 - (1 - self.sigma_min) * c0, 0.0, alpha, sigma, c0))
        return SamplerSteps(tuple(found), None)
