"""The log density of the current action."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice, require
from dlscore.grid import Grid
from dlscore.scores.base import MixtureLayout, ScorerError, Scores
from dlscore.scores.error import DISTANCES

if TYPE_CHECKING:
    from torch import Tensor

    from dlscore.policy.atoms import AtomsPolicy
    from dlscore.policy.base import Policy
    from dlscore.policy.denoiser import DenoiserPolicy
    from dlscore.scores.solve import Recipe


DENSITIES = ("executed", "model")
KERNEL_PX = 6.4  # the least noise of LeRobot's diffusion schedule, in px: what that policy says nothing finer than
STORED = 64  # denoised chunks that are kept, at most


@dataclass(frozen=True)
class Likelihood:
    """log p(a | observation) [nats / px²] of the current action, marginal over the chunk's rest.

    density: "executed", of the actions that the policy's own sampler returns; "model", of those that its network models, p₀.
    `samples` chunks are denoised in `steps` solver steps to the coarse noise level `level` [σ/α], then to a finer one, and
    `finest` of them to a third. Each adds a Gaussian at each level (`executed`), counts by a weight (`weigh`), and the levels are
    joined (`multilevel`).
    Where the pilot finds that the network's slopes are no covariances, about as many go to the finest level of the schedule that
    is needed, and only there they are Gaussians. Costs a pilot of 2 · horizon + 9 evaluations and at most samples · (steps + 6)
    + 3 · finest, whatever the grid. sampler: "solver", or
    "policy": `samples` draws of the policy's own sampler as they are, a slow cross-check of the executed density.
    A policy of atoms has an exact density instead (`atoms`), seen through a Gaussian of `kernel_px`; the settings between do
    not concern it, and its "model" density is that of the temperature 1.
    """

    density: str = "executed"
    samples: int = 256
    steps: int = 3
    level: float = 0.35
    finest: int = 64
    sampler: str = "solver"
    kernel_px: float = field(default=KERNEL_PX, metadata={"added": True})

    name: ClassVar[str] = "likelihood"
    kind: ClassVar[str] = "log_density"
    units: ClassVar[str] = "nats / px^2"
    definition: ClassVar[str] = (
        "log of the mean probability density over each cell of the current action given the observation; the attribute density "
        "says whose: executed, of what the policy's own sampler returns, or model, of what its network models"
    )
    checks: ClassVar[tuple[str, ...]] = ("error", "log_error")
    version: ClassVar[int] = 9

    def __post_init__(self) -> None:
        samples, finest = self.samples, self.finest
        require("--density", self.density, " or ".join(DENSITIES), self.density in DENSITIES, ScorerError)
        require(
            "--samples", samples, "a power of 2 from 16", samples >= 16 and not samples & (samples - 1), ScorerError
        )
        require("--solver-steps", self.steps, "at least 1", self.steps >= 1, ScorerError)
        require("--noise-level", self.level, "above 0 and below 1", 0 < self.level < 1, ScorerError)
        fits = self.sampler == "policy" or (0 <= finest <= samples and not finest % 4)
        require("--finest", finest, f"0 or a multiple of 4 up to {samples}", fits,
                ScorerError)  # fmt: skip
        require("--sampler", self.sampler, "solver or policy", self.sampler in ("solver", "policy"), ScorerError)
        require("--kernel-px", self.kernel_px, "from 1 to 100", 1 <= self.kernel_px <= 100, ScorerError)
        if self.sampler == "policy" and self.density == "model":
            raise ScorerError("--sampler policy draws executed actions; it has no --density model")

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        if self.sampler == "policy":
            return self._denoiser(policy).chunk_evaluations(self.samples)
        if policy.kind == "atoms":
            return 1
        from dlscore.scores.solve import find_plan
        from dlscore.scores.start import pilot_evaluations

        find_plan(self._denoiser(policy), self._recipe())
        return pilot_evaluations(self._denoiser(policy)) + self.samples * (self.steps + 6) + 3 * self.finest

    def layout(self, policy: Policy) -> MixtureLayout:
        """What the cache keeps of the mixture of a step."""
        if self._exact(policy):
            return MixtureLayout(cast("AtomsPolicy", policy).count, distances=DISTANCES)
        from dlscore.scores.solve import find_box

        components = self.samples if self.sampler == "policy" else 2 * self.samples + self.finest
        return MixtureLayout(components, self._kept, find_box(self._denoiser(policy), self.density), DISTANCES)

    def describe(self, policy: Policy) -> dict[str, Any]:
        """What the cache keeps beside the settings."""
        if not self._exact(policy):
            return {}
        seen = (
            f"{self.definition}; the policy has atoms without a width, seen through a Gaussian of {self.kernel_px:g} px"
        )
        return {"definition": seen, "kernel_px": self.kernel_px}

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        if self._exact(policy):
            from dlscore.scores.atoms import score_atoms

            return score_atoms(cast("AtomsPolicy", policy), conditioning, self.density, self.kernel_px, grid)
        from dlscore.scores import solve

        draw = solve.draw_own if self.sampler == "policy" else solve.solve
        found = draw(self._denoiser(policy), conditioning, self._recipe(), seed)
        errors = [each.error for each in found]
        checks = {
            "error": np.array([each.total_variation for each in errors]),
            "log_error": np.stack([each.log_error for each in errors]),
        }
        denoised = np.stack([each.denoised for each in found])
        count = self.layout(policy).components
        return Scores.of_mixtures([each.joined.mixture.padded(count) for each in found], grid, checks, denoised)

    def _exact(self, policy: Policy) -> bool:
        return policy.kind == "atoms" and self.sampler == "solver"

    def _denoiser(self, policy: Policy) -> DenoiserPolicy:
        if policy.kind == "denoiser":
            return cast("DenoiserPolicy", policy)
        if policy.kind == "atoms":
            raise ScorerError(f"the density of policy {policy.name} is exact without --sampler policy; leave it out")
        raise ScorerError(
            f"method likelihood needs a density of the action; policy {policy.name}: {policy.without_density}"
        )

    @property
    def _kept(self) -> int:
        return min(STORED, self.samples if self.sampler == "policy" else self.finest or self.samples)

    def _recipe(self) -> Recipe:
        from dlscore.scores.solve import Recipe

        return Recipe(self.density, self.samples, self.steps, self.level, self.finest, self._kept)


# The settings of `--quality`, for at most 640, 2,560 and 25,000 evaluations per step at a horizon of 16.
QUALITIES: dict[str, dict[str, Any]] = {
    "draft": {"samples": 64, "steps": 3, "level": 0.35, "finest": 0},
    "standard": {"samples": 256, "steps": 3, "level": 0.35, "finest": 64},
    "reference": {"samples": 2048, "steps": 5, "level": 0.25, "finest": 512},
}


def choose_quality(quality: str, **changes: Any) -> dict[str, Any]:
    """The settings of `likelihood` for one of QUALITIES, overridden by those `changes` that are not None.

    With fewer samples, and `finest` left alone, at most a quarter of them go to the finest level.
    """
    check_choice("--quality", quality, QUALITIES, ScorerError)
    chosen = QUALITIES[quality] | {name: value for name, value in changes.items() if value is not None}
    if changes.get("samples") is not None and changes.get("finest") is None:
        chosen["finest"] = min(chosen["finest"], 4 * (chosen["samples"] // 16))
    return chosen
