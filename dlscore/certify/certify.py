"""Scores compared with the truth: every scorer on policies whose density is known.

Each scorer is run from an observation to the grid, and the result is compared with the true probabilities of the cells.
For a method that is not a density, exp(score) normalised over the grid is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from dlscore.certify.analytic_policy import encode_observation, make_policy
from dlscore.certify.metrics import find_modes, highest_density, kl_divergence, log_masses, total_variation
from dlscore.certify.mixtures import MIXTURES, Mixture
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.common.errors import UserError
from dlscore.grid import Grid
from dlscore.scores.base import Scorer

CHUNKS = 8  # drawn from the policy for the methods that start from one, as `dlscore compute` does by default
TALL = 0.95, 0.90  # the highest-density regions of `hdr95_iou` and `coverage90`


class CertifyError(UserError):
    """An analytic policy that does not exist."""


@dataclass(frozen=True)
class Comparison:
    """One scorer on one policy with one seed.

    `tv` total variation; `kl` KL(truth ‖ estimate) inside the grid [nats]; `hdr95_iou` intersection over union of the
    95 % highest-density regions; `coverage90` true mass inside the estimate's 90 % region, 0.9 where it is calibrated;
    `spearman` rank correlation over all cells; `modes_found` share of the modes; `sampling_error` the scorer's own (nan if
    it has none).
    """

    method: str
    policy: str
    seed: int
    evaluations: int
    tv: float
    kl: float
    hdr95_iou: float
    coverage90: float
    spearman: float
    modes_found: float
    sampling_error: float


def evaluate(method: str, scorer: Scorer, mixture: Mixture, seed: int, grid: Grid) -> tuple[Comparison, Array, Array]:
    """(comparison, (N, N) estimated masses, (N, N) true masses) of one scorer on one policy."""
    policy = make_policy(mixture)
    conditioning = encode_observation(policy)
    drawn = policy.sample(conditioning, [[1000 * (seed + 1) + k for k in range(CHUNKS)]])
    chunks = policy.to_px(drawn.double().numpy())  # drawn by every run, so their evaluations are not counted
    policy.evaluations = 0
    scores = scorer.score(policy, conditioning, chunks, grid, seed)
    log_estimate, log_truth = log_masses(scorer, scores.values[0], grid), mixture.log_masses(policy, grid)
    estimate, truth = np.exp(log_estimate), np.exp(log_truth)
    regions = [highest_density(each, TALL[0]) > 0 for each in (estimate, truth)]
    result = Comparison(
        method=method,
        policy=mixture.name,
        seed=seed,
        evaluations=policy.evaluations,
        tv=total_variation(estimate, truth),
        kl=kl_divergence(log_truth, log_estimate),
        hdr95_iou=float((regions[0] & regions[1]).sum() / (regions[0] | regions[1]).sum()),
        coverage90=float((truth * highest_density(estimate, TALL[1])).sum() / truth.sum()),
        spearman=float(spearmanr(log_estimate.ravel(), log_truth.ravel()).statistic),
        modes_found=find_modes(estimate, truth, mixture, policy, grid),
        sampling_error=float(scores.checks["sampling_error"][0]) if "sampling_error" in scores.checks else np.nan,
    )
    return result, estimate, truth


def certify(
    scorers: Mapping[str, Scorer],
    *,
    mixtures: Iterable[Mixture] = MIXTURES,
    seeds: Sequence[int] = (0, 1, 2),
    resolution: int = 50,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Comparison]:
    """Every scorer on every policy with every seed. `scorers` maps the name of a line in the table to its scorer."""
    chosen, grid = list(mixtures), Grid(resolution)
    results: list[Comparison] = []
    total = len(scorers) * len(chosen) * len(seeds)
    for mixture in chosen:
        for method, scorer in scorers.items():
            for seed in seeds:
                results.append(evaluate(method, scorer, mixture, seed, grid)[0])
                progress(len(results), total)
    return results


def summarise(results: Sequence[Comparison], scorers: Mapping[str, Scorer]) -> list[dict[str, Any]]:
    """One row per scorer: means over policies and seeds, the deviation `tv_std` over seeds, and the worst policy `tv_max`."""
    rows = []
    for method, scorer in scorers.items():
        mine = [result for result in results if result.method == method]
        seeds, policies = ({getattr(result, key) for result in mine} for key in ("seed", "policy"))
        by_seed = [np.mean([r.tv for r in mine if r.seed == seed]) for seed in sorted(seeds)]
        by_policy = {name: float(np.mean([r.tv for r in mine if r.policy == name])) for name in policies}
        worst = max(by_policy, key=lambda name: by_policy[name])
        mean = {
            field.name: float(np.mean([getattr(r, field.name) for r in mine]))
            for field in fields(Comparison)
            if field.name not in ("method", "policy", "seed", "evaluations", "tv")
        }
        rows.append(
            {
                "method": method,
                "settings": asdict(scorer),  # type: ignore[call-overload]
                "evaluations": int(np.mean([r.evaluations for r in mine])),
                "tv_mean": float(np.mean([r.tv for r in mine])),
                "tv_std": float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else 0.0,
                "tv_max": by_policy[worst],
                "tv_max_policy": worst,
                "kl_mean": mean.pop("kl"),
                **mean,
                "policies": len(policies),
                "seeds": len(seeds),
            }
        )
        if np.isnan(rows[-1]["sampling_error"]):
            del rows[-1]["sampling_error"]
    return rows


def choose_mixtures(names: str | None) -> tuple[Mixture, ...]:
    """The mixtures named in a comma-separated list, or all for None. Raises CertifyError for an unknown name."""
    if names is None:
        return MIXTURES
    known = {mixture.name: mixture for mixture in MIXTURES}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        check_choice("--policies", name, known, CertifyError)
    return tuple(known[name] for name in wanted)
