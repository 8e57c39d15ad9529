"""Scores compared with the truth: every scorer on policies whose density is known.

Each scorer is run from an observation to the grid, and the result is compared with the true probabilities of the cells:
those of the density that the policy's own sampler executes, and of the one that its network models. A scorer with a field
`density` computes the one asked for; what another returns is compared with both. For a method that is not a density,
exp(score) normalised over the grid is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from torch import Tensor

from dlscore.certify.analytic_policy import encode_observation, make_policy
from dlscore.certify.errors import CertifyError
from dlscore.certify.executed import Truth, default_folder, find_truth
from dlscore.certify.flow_policy import make_flow_policy
from dlscore.certify.metrics import above_noise, find_modes, highest_density, kl_divergence, log_masses, total_variation
from dlscore.certify.mixtures import MIXTURES, Mixture
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.common.progress import Notice, Report, no_report
from dlscore.grid import Grid
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.scores.base import Scorer, ScorerError
from dlscore.scores.likelihood import DENSITIES

CHUNKS = 8  # drawn from the policy for the methods that start from one, as `dlscore compute` does by default
TALL = 0.95, 0.90  # the highest-density regions of `hdr95_iou` and `coverage90`


@dataclass(frozen=True)
class Comparison:
    """One scorer on one policy under one schedule with one seed, against one truth.

    `tv` total variation, above the truth's own `noise`; `kl` KL(truth ‖ estimate) inside the grid [nats]; `hdr95_iou`
    intersection over union of the 95 % highest-density regions; `coverage90` true mass inside the estimate's 90 % region,
    0.9 where it is calibrated; `spearman` rank correlation over the cells that hold true mass; `modes_found` share of the
    modes; `checks` the scorer's own, by name.
    """

    method: str
    policy: str
    set: str
    schedule: str
    density: str
    seed: int
    evaluations: int
    tv: float
    noise: float
    kl: float
    hdr95_iou: float
    coverage90: float
    spearman: float
    modes_found: float
    checks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """An analytic policy under a schedule, its encoded observation (1, D), and its `truths` by density."""

    mixture: Mixture
    schedule: str
    policy: DenoiserPolicy
    conditioning: Tensor
    truths: Mapping[str, Truth]
    _drawn: dict[int, Array] = field(default_factory=dict)

    def chunks(self, seed: int) -> Array:
        """(1, CHUNKS, H, 2) [px] of the policy's own sampler, drawn once for all scorers."""
        if seed not in self._drawn:
            seeds = [[1000 * (seed + 1) + k for k in range(CHUNKS)]]
            self._drawn[seed] = self.policy.to_px(self.policy.sample(self.conditioning, seeds).double().numpy())
        return self._drawn[seed]


_MAKERS: Mapping[str, Callable[..., DenoiserPolicy]] = {"diffusion": make_policy, "multi_task_dit": make_flow_policy}


def make_case(
    mixture: Mixture,
    grid: Grid,
    *,
    schedule: str = "cosine",
    densities: Sequence[str] = DENSITIES,
    folder: Path | None = None,
    family: str = "diffusion",
) -> Case:
    """The policy of a mixture with its truths; draws are kept in `folder` (None: `executed.default_folder`)."""
    policy = _MAKERS[family](mixture, schedule)
    kept = default_folder() if folder is None else folder
    truths = {density: find_truth(density, mixture, policy, grid, kept) for density in densities}
    return Case(mixture, schedule, policy, encode_observation(policy), truths)


def evaluate(method: str, scorer: Scorer, case: Case, seed: int, grid: Grid) -> list[tuple[Comparison, Array]]:
    """(comparison, (N, N) estimated masses) of one scorer with each truth of the case, in its order."""
    policy, chunks = case.policy, case.chunks(seed)
    compared = []
    for chosen, densities in _by_density(scorer, case):
        policy.evaluations = 0  # those of the chunks, which every run has, are not counted
        scores = chosen.score(policy, case.conditioning, chunks, grid, seed)
        log_estimate = log_masses(chosen, scores.values[0], grid)
        checks = {name: float(values[0]) for name, values in scores.checks.items() if np.ndim(values) == 1}
        for density in densities:
            result = Comparison(
                method, case.mixture.name, case.mixture.set, case.schedule, density, seed, policy.evaluations,
                **_compare(log_estimate, case.truths[density], case, grid), checks=checks,
            )  # fmt: skip
            compared.append((result, np.exp(log_estimate)))
    return compared


def _by_density(scorer: Scorer, case: Case) -> Iterator[tuple[Any, list[str]]]:
    if "density" in getattr(scorer, "__dataclass_fields__", {}):
        for density in case.truths:
            yield replace(scorer, density=density), [density]  # type: ignore[type-var]
    else:
        yield scorer, list(case.truths)


def _compare(log_estimate: Array, true: Truth, case: Case, grid: Grid) -> dict[str, float]:
    estimate, truth = np.exp(log_estimate), np.exp(true.log_masses)
    regions = [highest_density(each, TALL[0]) > 0 for each in (estimate, truth)]
    held = np.isfinite(true.log_masses)
    return {
        "tv": above_noise(total_variation(estimate, truth), true.noise),
        "noise": true.noise,
        "kl": kl_divergence(true.log_masses, log_estimate),
        "hdr95_iou": float((regions[0] & regions[1]).sum() / (regions[0] | regions[1]).sum()),
        "coverage90": float((truth * highest_density(estimate, TALL[1])).sum() / truth.sum()),
        "spearman": float(spearmanr(log_estimate[held], true.log_masses[held]).statistic),
        "modes_found": find_modes(estimate, truth, case.mixture, case.policy, grid, counted=true.noise > 0),
    }


def certify(
    scorers: Mapping[str, Scorer],
    *,
    mixtures: Sequence[Mixture] = MIXTURES,
    schedules: Sequence[str] = ("cosine",),
    densities: Sequence[str] = DENSITIES,
    seeds: Sequence[int] = (0, 1, 2),
    family: str = "diffusion",
    resolution: int = 50,
    folder: Path | None = None,
    progress: Report = no_report,
    refused: Notice | None = None,
) -> list[Comparison]:
    """Every scorer on every policy under every schedule with every seed, against every density.

    `scorers` maps the name of a line in the table to its scorer; `folder` keeps the draws of executed densities. A scorer
    may refuse a schedule: `refused` is told so once, and the others go on; without it, its ScorerError is raised.
    """
    chosen, grid = [(mixture, name) for name in schedules for mixture in mixtures], Grid(resolution)
    results: list[Comparison] = []
    without: set[tuple[str, str]] = set()  # (method, schedule) that were refused
    done, total = 0, len(scorers) * len(chosen) * len(seeds)
    for mixture, schedule in chosen:
        case = make_case(mixture, grid, schedule=schedule, densities=densities, folder=folder, family=family)
        for method, scorer in scorers.items():
            for seed in seeds:
                try:
                    if (method, schedule) not in without:
                        results += [result for result, _ in evaluate(method, scorer, case, seed, grid)]
                except ScorerError as error:
                    if refused is None:
                        raise
                    without.add((method, schedule))
                    refused(f"{method} under --schedule {schedule}: {error}")
                done += 1
                progress(done, total)
    return results


def choose_mixtures(names: str | None) -> tuple[Mixture, ...]:
    """The mixtures named in a comma-separated list, or all for None. Raises CertifyError for an unknown name."""
    if names is None:
        return MIXTURES
    known = {mixture.name: mixture for mixture in MIXTURES}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        check_choice("--policies", name, known, CertifyError)
    return tuple(known[name] for name in wanted)


def choose_densities(name: str) -> tuple[str, ...]:
    """`executed`, `model` or, for "both", the two. Raises CertifyError for another name."""
    check_choice("--density", name, ("both", *DENSITIES), CertifyError)
    return DENSITIES if name == "both" else (name,)
