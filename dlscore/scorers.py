"""The scorers. Each turns one step's conditioning into (N, N) scores [y, x] of the current action, higher = preferred.

A scorer is a frozen dataclass of its settings, and one line in SCORERS. The policy models a chunk of H actions and the
grid asks about one of them; each scorer's docstring says how the two meet. Every scorer is deterministic for its seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from dlscore.errors import UserError
from dlscore.grid import Grid

if TYPE_CHECKING:  # torch takes seconds to import, and the names of the methods must be known at once
    from torch import Tensor

    from dlscore.diffusion import Policy

Array = NDArray[Any]


class ScorerError(UserError):
    """A scoring method that does not exist or settings that it cannot work with."""


class Scorer(Protocol):
    """`kind` is "log_density" where exp(score) · cell area is probability, else "score"."""

    name: ClassVar[str]
    kind: ClassVar[str]
    units: ClassVar[str]
    definition: ClassVar[str]
    checks: ClassVar[tuple[str, ...]]  # names in cache.CHECKS
    version: ClassVar[int]  # rises when the same settings give other numbers

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        """Network evaluations a step."""
        ...

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        """Scores of S steps under `conditioning` (S, D); `chunks` (S, M, H, 2) [px] are the policy's predictions."""
        ...


@dataclass(frozen=True)
class Scores:
    """What a scorer makes of S steps: `values` (S, N, N) float64 [step, y, x], and checks by name, each (S,)."""

    values: Array
    checks: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Likelihood:
    """log p(a | observation) [nats / px²]: the model's density of the current action, marginal over the chunk's rest.

    `samples` chunks are denoised to the noise level `timestep` (of 100) in `steps` solver steps, and a part of them on to the
    finer level; each adds the Gaussian with its posterior mean and covariance (`mixture`), and the two levels are
    joined (`two_levels`). Costs samples · (steps + 3) evaluations and 3 for each chunk of the finer level, whatever the
    grid. `sampler` "solver" starts at Sobol points and goes fast; "policy" is the policy's own sampler with all its
    steps, a slow cross-check. The first is the network's density p_0, before the sampler adds its discretisation error.
    """

    samples: int = 256
    steps: int = 6
    timestep: int = 10
    sampler: str = "solver"

    name: ClassVar[str] = "likelihood"
    kind: ClassVar[str] = "log_density"
    units: ClassVar[str] = "nats / px^2"
    definition: ClassVar[str] = (
        "log of the mean probability density over each cell of the current action given the observation, as a mixture "
        "of posterior Gaussians (Tweedie) of denoised chunks at two noise levels"
    )
    checks: ClassVar[tuple[str, ...]] = ("sampling_error", "level_difference")
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        samples = self.samples
        _require("--samples", samples, "a power of 2 from 8", samples >= 8 and not samples & (samples - 1))
        _require("--solver-steps", self.steps, "at least 2", self.steps >= 2)
        _require("--noise-timestep", self.timestep, "at least 2", self.timestep >= 2)
        _require("--sampler", self.sampler, "solver or policy", self.sampler in ("solver", "policy"))

    @property
    def followed(self) -> int:
        """How many of the chunks go on to the finer level."""
        return min(self.samples, max(32, self.samples // 4))

    def levels(self, policy: Policy) -> tuple[int, int]:
        """The coarse and the fine timestep, of the policy's own schedule."""
        coarse, fine = policy.of_hundred(self.timestep), policy.of_hundred(round(0.4 * self.timestep))
        _require("--noise-timestep", self.timestep, f"larger for a schedule of {len(policy.alphas_cumprod)} timesteps",
                 0 < fine < coarse)  # fmt: skip
        return coarse, fine

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        visited = [int(t) for t in self._scheduler(policy).timesteps]
        before, fine = (visited.index(t) for t in self.levels(policy))
        return self.samples * (before + 3) + self.followed * (fine - before - 1 + 3)

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        import torch

        from dlscore import mixture, two_levels

        if self.sampler == "policy":
            shape = (self.samples, policy.horizon, 2)
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        else:
            noise = torch.tensor(mixture.sobol_noise(self.samples, policy.horizon, policy.current, seed))
        chosen = two_levels.choose(self.samples, self.followed)
        coarse, fine = mixture.levels(
            policy, conditioning, noise[None].to(conditioning.device), self._scheduler(policy), self.levels(policy),
            chosen, seed,
        )  # fmt: skip
        estimates = [two_levels.join(coarse, fine, step, grid) for step in range(len(conditioning))]
        return Scores(
            np.stack([estimate.log_density for estimate in estimates]),
            {name: np.array([getattr(estimate, name) for estimate in estimates]) for name in self.checks},
        )

    def _scheduler(self, policy: Policy) -> Any:
        from dlscore import mixture

        if self.sampler == "policy":
            return mixture.own_sampler(policy, self.levels(policy))
        coarse, fine = self.levels(policy)
        return mixture.fast_solver(policy, [*mixture.nodes(policy, self.steps, coarse), fine])


# What `--quality` sets: from the certification (README), the best total variation for about 600, 2,500 and 25,000
# evaluations a step.
QUALITIES: dict[str, dict[str, int]] = {
    "draft": {"samples": 64, "steps": 5, "timestep": 12},
    "standard": {"samples": 256, "steps": 6, "timestep": 10},
    "reference": {"samples": 2048, "steps": 8, "timestep": 7},
}


@dataclass(frozen=True)
class Distance:
    """-‖a - predicted action‖ [px], with the action that the policy's own sampler predicts, drawn once a step."""

    name: ClassVar[str] = "distance"
    kind: ClassVar[str] = "score"
    units: ClassVar[str] = "px"
    definition: ClassVar[str] = "minus the Euclidean distance to the predicted action"
    checks: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        return 0

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        predicted = chunks[:, 0, policy.current]
        return Scores(-np.linalg.norm(grid.actions - predicted[:, None, None], axis=-1))


@dataclass(frozen=True)
class NoisePrediction:
    """Minus the denoising error of a chunk through a [nats, up to a constant].

    The chunk A starts as the drawn chunk that comes nearest to a, translated so that its current action is a; the rest of
    it is then what the network expects around a, E[x_0 | x_t = α_t A] at t = `settle`. With noise ε, the same for every
    cell, and ε̂ the network's prediction from x_t = α_t A + σ_t ε:

        score = -½ ∫ ‖ε̂ - ε‖² dλ,   λ = log SNR

    the continuous-time evidence lower bound (Kingma et al. 2021, eq. 17) of A, by the midpoint rule over `levels` noise
    levels between the timesteps `lowest` and `highest`. A bound on the density of one chunk through a, not the density of
    a: it ranks actions, and costs (levels + 1) · N² evaluations.
    """

    levels: int = 4
    lowest: int = 2
    highest: int = 96
    settle: int = 25

    name: ClassVar[str] = "noise_pred"
    kind: ClassVar[str] = "score"
    units: ClassVar[str] = "nats"
    definition: ClassVar[str] = (
        "minus half the squared error of the predicted noise, integrated over log SNR, of the chunk that the network "
        "expects around the nearest drawn chunk translated to the cell"
    )
    checks: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _require("--levels", self.levels, "at least 1", self.levels >= 1)

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        return (self.levels + 1) * grid.resolution**2

    def timesteps(self, policy: Policy) -> list[int]:
        """The noise levels: midpoints of equal intervals of log SNR, as the nearest timesteps."""
        log_snr = policy.log_snr()
        low, high = log_snr[policy.of_hundred(self.highest)], log_snr[policy.of_hundred(self.lowest)]
        middle = low + (np.arange(self.levels) + 0.5) / self.levels * (high - low)
        return [int(np.argmin(np.abs(log_snr - target))) for target in middle]

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        pairs = zip(policy.from_px(chunks), conditioning, strict=True)
        return Scores(np.stack([self._score_step(policy, given[None], drawn, grid, seed) for drawn, given in pairs]))

    def _score_step(self, policy: Policy, conditioning: Tensor, drawn: Array, grid: Grid, seed: int) -> Array:
        import torch

        cells, now = policy.from_px(grid.actions.reshape(-1, 2)), policy.current
        away = cells[:, None] - drawn[:, now]
        nearest = (away**2).sum(axis=-1).argmin(axis=1)
        started = drawn[nearest] + away[np.arange(len(cells)), nearest][:, None]
        log_snr = policy.log_snr()
        span = float(np.ptp(log_snr[[policy.of_hundred(self.lowest), policy.of_hundred(self.highest)]]))
        stream = torch.Generator().manual_seed(seed)
        levels = [(t, torch.randn(drawn.shape[1:], generator=stream)) for t in self.timesteps(policy)]
        settle = policy.of_hundred(self.settle)
        alpha, sigma = policy.noise_level(settle)
        total = np.zeros(len(cells))
        for start in range(0, len(cells), policy.batch_size):  # never the whole grid on the device at once
            part = slice(start, start + policy.batch_size)
            chunk = torch.tensor(started[part], dtype=torch.float32, device=conditioning.device)[None]
            clean = chunk - sigma / alpha * policy.epsilon(alpha * chunk, settle, conditioning)
            clean[:, :, now] = chunk[:, :, now]
            for t, noise in levels:
                noise = noise.to(conditioning.device)
                predicted = policy.epsilon(
                    policy.noise_level(t)[0] * clean + policy.noise_level(t)[1] * noise, t, conditioning
                )
                total[part] += (predicted - noise).square().sum(dim=(2, 3))[0].cpu().double().numpy()
        scores: Array = (-0.5 * span / self.levels * total).reshape(grid.resolution, grid.resolution)
        return scores


SCORERS: dict[str, type[Any]] = {scorer.name: scorer for scorer in (Likelihood, Distance, NoisePrediction)}


def make_scorers(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Scorer]:
    """The scorers that `methods` names, each with its settings; ScorerError says what exists and what is allowed."""
    made: dict[str, Scorer] = {}
    for method, settings in methods.items():
        if method not in SCORERS:
            raise ScorerError(f"--scoring-method {method} does not exist; choose from {', '.join(SCORERS)}")
        known = {each.name for each in fields(SCORERS[method])}
        made[method] = SCORERS[method](**{name: value for name, value in settings.items() if name in known})
        unknown = sorted(set(settings) - known)
        if unknown:
            raise ScorerError(f"method {method} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return made


def choose_quality(quality: str, **changes: Any) -> dict[str, Any]:
    """The settings of `likelihood` at one of QUALITIES, with those of `changes` that are not None."""
    if quality not in QUALITIES:
        raise ScorerError(f"--quality {quality} does not exist; choose from {', '.join(QUALITIES)}")
    return QUALITIES[quality] | {name: value for name, value in changes.items() if value is not None}


def name_scorers(
    methods: Sequence[str], qualities: Sequence[str], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Scorer]:
    """Scorers by a name for people: `likelihood` once a quality, the others once, with `settings`."""
    named: dict[str, Scorer] = {}
    for method, scorer in make_scorers({method: settings.get(method, {}) for method in methods}).items():
        if method == Likelihood.name:
            named |= {f"{method}, {quality}": Likelihood(**choose_quality(quality)) for quality in qualities}
        else:
            named[method] = scorer
    return named


def _require(option: str, value: object, allowed: str, holds: bool) -> None:
    if not holds:
        raise ScorerError(f"{option} {value} is not allowed; it must be {allowed}")


def describe(scorer: Scorer, policy: Policy, grid: Grid) -> dict[str, Any]:
    """What the cache keeps beside a method's scores."""
    return {
        "kind": scorer.kind,
        "units": scorer.units,
        "definition": scorer.definition,
        "parameters": asdict(scorer) | {"version": scorer.version},  # type: ignore[call-overload]
        "checks": list(scorer.checks),
        "evaluations_per_step": scorer.evaluations(policy, grid),
    }
