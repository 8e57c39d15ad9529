"""What a scorer is: it turns a step's conditioning into (N, N) scores [y, x] of the current action, higher = preferred.

A scorer is a frozen dataclass of its settings. The policy models a chunk of H actions, and the grid asks about one of
them; each scorer's docstring says how the two are related. Every scorer is deterministic for its seed, whatever the batch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.common.errors import UserError
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.density.rounding import rounded
from dlscore.grid import Grid

if TYPE_CHECKING:
    from torch import Tensor

    from dlscore.policy.base import Policy
    from dlscore.policy.denoiser import DenoiserPolicy


KINDS = ("log_density", "score")
NAME = re.compile(r"[a-z][a-z0-9_]*")  # it becomes a part of paths


class ScorerError(UserError):
    """An unknown scoring method, or settings that are not allowed."""


class Scorer(Protocol):
    """A scoring method. `kind` is "log_density" if exp(score) · cell area is probability, else "score"."""

    name: ClassVar[str]
    kind: ClassVar[str]
    units: ClassVar[str]
    definition: ClassVar[str]
    checks: ClassVar[tuple[str, ...]]  # names in cache.schema.CHECKS
    version: ClassVar[int]  # increased when the same settings give other numbers

    def evaluations(self, policy: Policy, grid: Grid) -> int:
        """Network evaluations per step."""
        ...

    def score(self, policy: Policy, conditioning: Tensor, chunks: Array, grid: Grid, seed: int) -> Scores:
        """Scores of S steps under `conditioning` (S, D); `chunks` (S, M, H, 2) [px] are the policy's predictions."""
        ...


@dataclass(frozen=True)
class MixtureLayout:
    """What a scorer's mixtures have at every step, so that a file is laid out before the first one.

    components: K of each mixture. denoised: chunks that are kept, 0 for none. box: that of the mixtures, px. distances: the
    upper ends of the bins [nats below the peak] of the check `log_error`.
    """

    components: int
    denoised: int = 0
    box: Any = None
    distances: Sequence[float] = ()


class MixtureScorer(Scorer, Protocol):
    """A scorer whose Scores have mixtures; `density` is "executed" (what the policy's own sampler returns) or "model"."""

    density: str

    def layout(self, policy: Policy) -> MixtureLayout:
        """The same at every step."""
        ...


@dataclass(frozen=True)
class Scores:
    """Scores of S steps: `values` (S, N, N) float64 [step, y, x], and the method's checks by name, each (S,).

    mixtures: where the method has them, one for each step, from which `values` follow. denoised: (S, D, H, 2) px, chunks at the
    finest noise level. The check `log_error` is (S, B), for the bins of the layout's `distances`.
    """

    values: Array
    checks: Mapping[str, Array] = field(default_factory=dict)
    mixtures: Sequence[Mixture] | None = None
    denoised: Array | None = None

    @classmethod
    def of_mixtures(
        cls,
        mixtures: Sequence[Mixture],
        grid: Grid,
        checks: Mapping[str, Array] | None = None,
        denoised: Array | None = None,
    ) -> Scores:
        """The scores of S mixtures, normalised and rounded to what a cache keeps: the log of the mean density over each cell."""
        stored = [rounded(each.normalised()) for each in mixtures]
        return cls(np.stack([log_cell_density(each, grid) for each in stored]), checks or {}, stored, denoised)


def check_scorer(scorer: Any) -> None:
    """Raise ScorerError unless a scorer, or a class of scorers, says of itself what the cache keeps."""
    whose = f"scorer {getattr(scorer, '__qualname__', type(scorer).__qualname__)}"
    names = [*Scorer.__annotations__, "evaluations", "score"]
    if missing := [name for name in names if not hasattr(scorer, name)]:
        raise ScorerError(f"{whose} lacks {', '.join(missing)}; a scorer has {', '.join(names)}")
    if "__dataclass_fields__" not in dir(scorer):
        raise ScorerError(
            f"{whose} is not a dataclass, whose fields are its settings; decorate it with @dataclass(frozen=True)"
        )
    if not NAME.fullmatch(scorer.name):
        raise ScorerError(f"{whose} has name {scorer.name!r}; use lower-case letters, digits and _, such as my_score")
    check_choice(f"kind of {whose}", scorer.kind, KINDS, ScorerError)


def score_parameters(scorer: Scorer) -> dict[str, Any]:
    """What decides a method's numbers: its settings and its version.

    A setting whose field has the metadata `added` has no entry at its default, so that caches of earlier versions stay current.
    """
    settings: dict[str, Any] = asdict(scorer)  # type: ignore[call-overload]
    for each in fields(scorer):  # type: ignore[arg-type]
        if each.metadata.get("added") and settings[each.name] == each.default:
            del settings[each.name]
    return settings | {"version": scorer.version}


def require_denoiser(policy: Policy, method: str) -> DenoiserPolicy:
    """The policy, if its density is known by a denoiser; otherwise ScorerError: `method` needs one."""
    if policy.kind != "denoiser":
        raise ScorerError(
            f"method {method} needs a network that removes noise; policy {policy.name} of type {policy.family!r} has none: "
            f"choose {'likelihood or distance' if policy.kind == 'atoms' else 'distance'}"
        )
    return cast("DenoiserPolicy", policy)


def score_attributes(scorer: Scorer, policy: Policy, grid: Grid) -> dict[str, Any]:
    """What the cache keeps beside a method's scores."""
    attributes = {
        "kind": scorer.kind,
        "units": scorer.units,
        "definition": scorer.definition,
        "parameters": score_parameters(scorer),
        "checks": list(scorer.checks),
        "evaluations_per_step": scorer.evaluations(policy, grid),
    }
    if hasattr(scorer, "density"):
        attributes["density"] = scorer.density
    if hasattr(scorer, "layout"):
        layout: MixtureLayout = scorer.layout(policy)
        attributes |= {"components": layout.components, "denoised": layout.denoised}
        attributes |= {"distances": [float(each) for each in layout.distances]}
        attributes |= {} if layout.box is None else {"box": np.asarray(layout.box, dtype=float).tolist()}
    if hasattr(scorer, "describe"):
        attributes |= scorer.describe(policy)
    return attributes
