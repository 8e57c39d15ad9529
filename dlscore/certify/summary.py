"""Rows of the certification: means over policies and seeds, and what the scorers' own errors are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from dlscore.certify.certify import Comparison
from dlscore.scores.base import Scorer

MEANS = ("hdr95_iou", "coverage90", "spearman", "modes_found")
TOLD = "error"  # the check that is an estimate of the total variation itself
FINEST = 0.25  # of a truth's noise: total variations above the noise are not resolved below this
ROUNDED = 2.5e-4  # the largest total variation by which `density.rounding` moved one of 16 known densities


def summarise(results: Sequence[Comparison], scorers: Mapping[str, Scorer]) -> list[dict[str, Any]]:
    """One row per scorer, density, schedule and set, in the order of the results' first of each.

    `tv_std` is the deviation over seeds of the mean, `tv_max` the mean of the worst policy, `checks` the means of the
    scorer's own. Rows of scorers that tell their `error` have `error_within_2`, `error_factor_max` and `error_rank`
    (`judge_errors`).
    """
    groups: dict[tuple[str, str, str, str], list[Comparison]] = {}
    for method in scorers:
        for each in results:
            if each.method == method:
                groups.setdefault((method, each.density, each.schedule, each.set), []).append(each)
    return [_row(mine, scorers[mine[0].method]) for mine in groups.values()]


def _row(mine: Sequence[Comparison], scorer: Scorer) -> dict[str, Any]:
    seeds, policies = ({getattr(each, key) for each in mine} for key in ("seed", "policy"))
    by_seed = [np.mean([each.tv for each in mine if each.seed == seed]) for seed in sorted(seeds)]
    by_policy = {name: _mean([each.tv for each in mine if each.policy == name]) for name in sorted(policies)}
    worst = max(by_policy, key=lambda name: by_policy[name])
    row = {
        "method": mine[0].method,
        "density": mine[0].density,
        "schedule": mine[0].schedule,
        "set": mine[0].set,
        "settings": asdict(scorer),  # type: ignore[call-overload]
        "evaluations": int(np.mean([each.evaluations for each in mine])),
        "tv_mean": _mean([each.tv for each in mine]),
        "tv_std": float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else 0.0,
        "tv_max": by_policy[worst],
        "tv_max_policy": worst,
        "noise_mean": _mean([each.noise for each in mine]),
        "kl_mean": _mean([each.kl for each in mine]),
        **{name: _mean([getattr(each, name) for each in mine]) for name in MEANS},
        "checks": {name: _mean([each.checks[name] for each in mine]) for name in mine[0].checks},
        "policies": len(policies),
        "seeds": len(seeds),
    }
    return row | judge_errors(mine) if TOLD in mine[0].checks else row


def judge_errors(results: Sequence[Comparison]) -> dict[str, float | None]:
    """What the `error` that a scorer tells is worth, over runs: `error_within_2`, the share where the true total variation
    is within a factor of 2 of it; `error_factor_max`, the largest factor either way; `error_rank`, their rank correlation
    (None for fewer than three runs, or if either is constant).

    A true one that is lost in the noise of the truth counts as a quarter of that noise, and one below ROUNDED as that.
    """
    true = np.array([max(each.tv, FINEST * each.noise, ROUNDED) for each in results])
    told = np.array([max(each.checks[TOLD], 1e-6) for each in results])
    factor = np.maximum(true / told, told / true)
    ranked = len(results) >= 3 and np.ptp(true) > 0 and np.ptp(told) > 0
    return {
        "error_within_2": float((factor <= 2).mean()),
        "error_factor_max": float(factor.max()),
        "error_rank": float(spearmanr(true, told).statistic) if ranked else None,
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
