"""The log density of the current action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice, require
from dlscore.grid import Grid
from dlscore.scores.base import ScorerError, Scores

if TYPE_CHECKING:
    from torch import Tensor

    from dlscore.policy.diffusion import Policy


@dataclass(frozen=True)
class Likelihood:
    """log p(a | observation) [nats / px²]: the model's density of the current action, marginal over the chunk's rest.

    `samples` chunks are denoised to the noise level `timestep` (of 100) in `steps` solver steps, and some of them further to a
    finer level. Each adds the Gaussian with its posterior mean and covariance (`posterior`), and the two levels are
    combined (`multilevel`). Costs samples · (steps + 3) evaluations plus 3 for each chunk of the finer level, whatever the
    grid. sampler: "solver" starts at Sobol points and takes few steps; "policy" is the policy's own sampler with all its
    steps, a slow cross-check. The first is the network's density p_0, without the sampler's discretisation error.
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
        require("--samples", samples, "a power of 2 from 8", samples >= 8 and not samples & (samples - 1), ScorerError)
        require("--solver-steps", self.steps, "at least 2", self.steps >= 2, ScorerError)
        require("--noise-timestep", self.timestep, "at least 2", self.timestep >= 2, ScorerError)
        require("--sampler", self.sampler, "solver or policy", self.sampler in ("solver", "policy"), ScorerError)

    @property
    def followed(self) -> int:
        """How many of the chunks are denoised to the finer level."""
        return min(self.samples, max(32, self.samples // 4))

    def levels(self, policy: Policy) -> tuple[int, int]:
        """The coarse and the fine timestep, of the policy's own schedule."""
        coarse, fine = _scale_levels(policy, self.timestep)
        if not 0 < fine < coarse:
            works = [
                t for t in range(self.timestep + 1, 60) if 0 < _scale_levels(policy, t)[1] < _scale_levels(policy, t)[0]
            ]
            remedy = f"choose --noise-timestep {works[0]}" if works else "likelihood needs a finer schedule"
            raise ScorerError(
                f"--noise-timestep {self.timestep} is not allowed; a schedule of {len(policy.alphas_cumprod)} timesteps has no "
                f"two noise levels there: {remedy}"
            )
        return coarse, fine

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        visited = [int(t) for t in self._scheduler(policy).timesteps]
        before, fine = (visited.index(t) for t in self.levels(policy))
        return self.samples * (before + 3) + self.followed * (fine - before - 1 + 3)

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        import torch

        from dlscore.scores import multilevel, posterior, sampling

        if self.sampler == "policy":
            shape = (self.samples, policy.horizon, 2)
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        else:
            noise = torch.tensor(sampling.sobol_noise(self.samples, policy.horizon, policy.current, seed))
        chosen = multilevel.choose(self.samples, self.followed)
        coarse, fine = posterior.two_level_mixtures(
            policy, conditioning, noise[None].to(conditioning.device), self._scheduler(policy), self.levels(policy),
            chosen, seed,
        )  # fmt: skip
        estimates = [multilevel.join(coarse, fine, step, grid) for step in range(len(conditioning))]
        return Scores(
            np.stack([estimate.log_density for estimate in estimates]),
            {name: np.array([getattr(estimate, name) for estimate in estimates]) for name in self.checks},
        )

    def _scheduler(self, policy: Policy) -> Any:
        from dlscore.scores import sampling

        if self.sampler == "policy":
            return sampling.own_sampler(policy, self.levels(policy))
        coarse, fine = self.levels(policy)
        return sampling.fast_solver(policy, [*sampling.nodes(policy, self.steps, coarse), fine])


def _scale_levels(policy: Policy, timestep: int) -> tuple[int, int]:
    return policy.scale_timestep(timestep), policy.scale_timestep(round(0.4 * timestep))


# The settings of `--quality`: the best total variation in the certification for about 600, 2,500 and 25,000
# evaluations per step.
QUALITIES: dict[str, dict[str, int]] = {
    "draft": {"samples": 64, "steps": 5, "timestep": 12},
    "standard": {"samples": 256, "steps": 6, "timestep": 10},
    "reference": {"samples": 2048, "steps": 8, "timestep": 7},
}


def choose_quality(quality: str, **changes: Any) -> dict[str, Any]:
    """The settings of `likelihood` for one of QUALITIES, overridden by those `changes` that are not None."""
    check_choice("--quality", quality, QUALITIES, ScorerError)
    return QUALITIES[quality] | {name: value for name, value in changes.items() if value is not None}
