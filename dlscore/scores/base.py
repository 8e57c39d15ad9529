"""The scorers. Each turns one step's conditioning into (N, N) scores [y, x] of the current action, higher = preferred.

A scorer is a frozen dataclass of its settings, and one line in SCORERS. The policy models a chunk of H actions and the
grid asks about one of them; each scorer's docstring says how the two meet. Every scorer is deterministic for its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from dlscore.common.arrays import Array
from dlscore.common.errors import UserError
from dlscore.grid import Grid

if TYPE_CHECKING:
    from torch import Tensor

    from dlscore.policy.diffusion import Policy


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


def score_attributes(scorer: Scorer, policy: Policy, grid: Grid) -> dict[str, Any]:
    """What the cache keeps beside a method's scores."""
    return {
        "kind": scorer.kind,
        "units": scorer.units,
        "definition": scorer.definition,
        "parameters": asdict(scorer) | {"version": scorer.version},  # type: ignore[call-overload]
        "checks": list(scorer.checks),
        "evaluations_per_step": scorer.evaluations(policy, grid),
    }
