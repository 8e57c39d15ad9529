"""The scorers. Each turns one step's conditioning into (N, N) scores [y, x] of the current action, higher = preferred.

A scorer is a frozen dataclass of its settings, and one line in SCORERS. The policy models a chunk of H actions and the
grid asks about one of them; each scorer's docstring says how the two meet. Every scorer is deterministic for its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dlscore.errors import UserError
from dlscore.grid import Grid

if TYPE_CHECKING:  # torch takes seconds to import, and the names of the methods must be known at once
    from torch import Tensor

    from dlscore.policy import Policy

Array = NDArray[Any]


class ScorerError(UserError):
    """A scoring method that does not exist or settings that it cannot work with."""


class Scorer(Protocol):
    """`kind` is "log_density" where exp(score) · cell area is probability, else "score"."""

    name: ClassVar[str]
    kind: ClassVar[str]
    units: ClassVar[str]
    definition: ClassVar[str]

    def evaluations(self, grid: Grid) -> int:
        """Network evaluations a step."""
        ...

    def score(self, policy: Policy, conditioning: Tensor, chunk: Array, grid: Grid, seed: int) -> Array:
        """(N, N) float64 scores under `conditioning` (1, D); `chunk` (H, 2) px is the policy's drawn prediction."""
        ...


@dataclass(frozen=True)
class Likelihood:
    """log p(a | observation) [nats / px²]: the model's density of the current action, marginal over the chunk's rest.

    `samples` chunks are denoised from Sobol points to the noise level `timestep` in `steps` solver steps; each adds the
    Gaussian with its posterior mean and covariance (see `mixture`). Costs samples · (steps + 3) evaluations whatever
    the grid. It is the network's density p_0, before the policy's own sampler adds its discretisation error.
    """

    samples: int = 256
    steps: int = 7
    timestep: int = 8

    name: ClassVar[str] = "likelihood"
    kind: ClassVar[str] = "log_density"
    units: ClassVar[str] = "nats / px^2"
    definition: ClassVar[str] = (
        "log of the mean probability density over each cell of the current action given the observation, "
        "as a mixture of posterior Gaussians (Tweedie) of chunks denoised from scrambled Sobol points"
    )

    def __post_init__(self) -> None:
        _require("--samples", self.samples, "a power of 2", self.samples > 0 and not self.samples & (self.samples - 1))
        _require("--solver-steps", self.steps, "at least 2", self.steps >= 2)
        _require("--noise-timestep", self.timestep, "at least 1", self.timestep >= 1)

    def evaluations(self, grid: Grid) -> int:
        return self.samples * (self.steps + 3)

    def score(self, policy: Policy, conditioning: Tensor, chunk: Array, grid: Grid, seed: int) -> Array:
        from dlscore import mixture

        mean, covariance = self.components(policy, conditioning, seed)
        scale = policy.to_px(np.ones(2)) - policy.to_px(np.zeros(2))
        return mixture.log_cell_density(policy.to_px(mean), covariance * np.outer(scale, scale), grid)

    def components(self, policy: Policy, conditioning: Tensor, seed: int) -> tuple[Array, Array]:
        """Means (M, 2) and covariances (M, 2, 2) of the mixture, in normalised units."""
        import torch

        from dlscore import mixture

        noise = torch.tensor(mixture.sobol_noise(self.samples, policy.horizon, seed)).to(conditioning.device)
        timesteps = mixture.nodes(policy, self.steps, self.timestep)
        x = mixture.denoise(policy, conditioning, noise, timesteps)
        return mixture.posterior(policy, conditioning, x, self.timestep)


@dataclass(frozen=True)
class Distance:
    """-‖a - predicted action‖ [px], with the action that the policy's own sampler predicts, drawn once a step."""

    name: ClassVar[str] = "distance"
    kind: ClassVar[str] = "score"
    units: ClassVar[str] = "px"
    definition: ClassVar[str] = "minus the Euclidean distance to the predicted action"

    def evaluations(self, grid: Grid) -> int:
        return 0

    def score(self, policy: Policy, conditioning: Tensor, chunk: Array, grid: Grid, seed: int) -> Array:
        distance: Array = np.linalg.norm(grid.actions - chunk[policy.current], axis=-1)
        return -distance


@dataclass(frozen=True)
class NoisePrediction:
    """Minus the denoising error of a drawn chunk translated so that its current action is a [nats, up to a constant].

    With noise ε, the same for every cell, and ε̂ the network's prediction from x_t = α_t A + σ_t ε:

        score = -½ ∫ ‖ε̂ - ε‖² dλ,   λ = log SNR

    the continuous-time evidence lower bound (Kingma et al. 2021, eq. 17) of the translated chunk A, by the midpoint
    rule over `levels` noise levels between the timesteps `lowest` and `highest`. A bound on the density of one chunk
    through a, not the density of a: it ranks actions, and costs levels · N² evaluations.
    """

    levels: int = 4
    lowest: int = 4
    highest: int = 90

    name: ClassVar[str] = "noise_pred"
    kind: ClassVar[str] = "score"
    units: ClassVar[str] = "nats"
    definition: ClassVar[str] = (
        "minus half the squared error of the predicted noise, integrated over log SNR, of a drawn chunk translated "
        "so that its current action is the cell's"
    )

    def __post_init__(self) -> None:
        _require("--levels", self.levels, "at least 1", self.levels >= 1)

    def evaluations(self, grid: Grid) -> int:
        return self.levels * grid.resolution**2

    def timesteps(self, policy: Policy) -> list[int]:
        """The noise levels: midpoints of equal intervals of log SNR, as the nearest timesteps."""
        log_snr = policy.log_snr()
        low, high = log_snr[self.highest], log_snr[self.lowest]
        middle = low + (np.arange(self.levels) + 0.5) / self.levels * (high - low)
        return [int(np.argmin(np.abs(log_snr - target))) for target in middle]

    def score(self, policy: Policy, conditioning: Tensor, chunk: Array, grid: Grid, seed: int) -> Array:
        import torch

        device = conditioning.device
        shift = policy.from_px(grid.actions.reshape(-1, 2)) - policy.from_px(chunk[policy.current])
        chunks = torch.tensor(policy.from_px(chunk)[None] + shift[:, None], dtype=torch.float32)
        span = np.ptp(policy.log_snr()[[self.lowest, self.highest]])
        stream = torch.Generator().manual_seed(seed)
        total = np.zeros(len(shift))
        for t in self.timesteps(policy):
            alpha, sigma = policy.noise_level(t)
            noise = torch.randn(chunk.shape, generator=stream).to(device)
            for start in range(0, len(chunks), policy.batch_size):  # never the whole grid on the device at once
                part = slice(start, start + policy.batch_size)
                predicted = policy.epsilon(alpha * chunks[part].to(device) + sigma * noise, t, conditioning)
                total[part] += (predicted - noise).square().sum(dim=(1, 2)).cpu().double().numpy()
        scores: Array = (-0.5 * span / self.levels * total).reshape(grid.resolution, grid.resolution)
        return scores


SCORERS: dict[str, type[Any]] = {scorer.name: scorer for scorer in (Likelihood, Distance, NoisePrediction)}


def make_scorers(methods: Mapping[str, Mapping[str, int]]) -> dict[str, Scorer]:
    """The scorers that `methods` names, each with its settings; ScorerError says what exists and what is allowed."""
    made: dict[str, Scorer] = {}
    for method, settings in methods.items():
        if method not in SCORERS:
            raise ScorerError(f"--scoring-method {method} does not exist; choose from {', '.join(SCORERS)}")
        known = {field.name for field in fields(SCORERS[method])}
        made[method] = SCORERS[method](**{name: value for name, value in settings.items() if name in known})
        unknown = sorted(set(settings) - known)
        if unknown:
            raise ScorerError(f"method {method} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return made


def _require(option: str, value: int, allowed: str, holds: bool) -> None:
    if not holds:
        raise ScorerError(f"{option} {value} is not allowed; it must be {allowed}")


def describe(scorer: Scorer, grid: Grid) -> dict[str, Any]:
    """What the cache keeps beside a method's scores."""
    return {
        "kind": scorer.kind,
        "units": scorer.units,
        "definition": scorer.definition,
        "parameters": asdict(scorer),  # type: ignore[call-overload]
        "evaluations_per_step": scorer.evaluations(grid),
    }
