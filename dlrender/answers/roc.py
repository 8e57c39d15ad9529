"""How well a number tells two groups apart: area under the ROC curve, exact p, and p corrected for how many were tried."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from dlrender.answers.intervals import Z
from dlscore.common.arrays import Array

ENUMERATED = 20_000  # so many assignments of the groups are all tried; of more, DRAWN at random
DRAWN = 10_000
EXACT = 120  # episodes up to which p counts all assignments: its cost grows as the fourth power
CLOSE = 1e-9  # rank sums are whole or half numbers


@dataclass(frozen=True)
class Auroc:
    """P(a failure's value is above a success's) + ½ P(tie), its 95 % interval, and two-sided p: uncorrected, and corrected."""

    value: float
    low: float
    high: float
    p: float
    corrected: float


def aurocs(values: Array, failed: Array, seed: int = 0) -> list[Auroc]:
    """One Auroc for each row of `values` (F, N), with `failed` (N,) bool; both groups have members.

    p: of the rank sum over all assignments of the groups (Mann & Whitney 1947, with midranks for ties), above EXACT episodes over
    DRAWN random ones. corrected: by the largest of the F statistics under assignments common to all (Westfall & Young 1993),
    which knows how the features are correlated. Where assignments are drawn, the data are one of them (Phipson & Smyth 2010), so
    that no p is 0. Intervals: Hanley & McNeil (1982), equation 2.
    """
    ranks = np.stack([midranks(row) for row in values])
    n, m = int(failed.sum()), int((~failed).sum())
    found = _area(ranks[:, failed].sum(axis=1), n, m)
    away = np.abs(_area(ranks @ _assignments(len(failed), n, seed), n, m) - 0.5)  # (F, R)
    drawn, largest = math.comb(n + m, n) > ENUMERATED, away.max(axis=0)
    results = []
    for rank, each, value in zip(ranks, away, found, strict=True):
        error = _standard_error(value, n, m)
        low, high = max(0.0, value - Z * error), min(1.0, value + Z * error)
        p = exact_p(rank, failed) if n + m <= EXACT else _share(each, value, drawn)
        results.append(Auroc(float(value), low, high, p, max(p, _share(largest, value, drawn))))
    return results


def midranks(values: Array) -> Array:
    """(N,) ranks from 1, equal values sharing the mean of theirs."""
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    result: Array = (below + upto + 1) / 2
    return result


def exact_p(ranks: Array, failed: Array) -> float:
    """The share of all assignments whose rank sum is as far from its mean, by counting subsets of each size and sum."""
    double = np.rint(2 * ranks).astype(int)  # midranks are halves
    n, total = int(failed.sum()), int(double.sum())
    ways = np.zeros((n + 1, total + 1))
    ways[0, 0] = 1
    for rank in double:
        ways[1:, rank:] += ways[:-1, : total + 1 - rank]
    mean = n * total / len(double)
    far = np.abs(np.arange(total + 1) - mean) >= abs(double[failed].sum() - mean) - CLOSE
    return float(ways[n, far].sum() / ways[n].sum())


def _assignments(count: int, n: int, seed: int) -> Array:
    # (count, R) 1 where an episode is in the first group; the first column of a random set is a draw as any other
    if math.comb(count, n) <= ENUMERATED:
        chosen = np.array(list(itertools.combinations(range(count), n)))
    else:
        chosen = np.random.default_rng(seed).random((DRAWN, count)).argsort(axis=1)[:, :n]
    found = np.zeros((count, len(chosen)))
    found[chosen.T, np.arange(len(chosen))] = 1
    return found


def _share(away: Array, value: float, drawn: bool) -> float:
    # Of assignments whose area is as far from a half; of drawn ones, the data are one more.
    count = int((away >= abs(value - 0.5) - CLOSE).sum())
    return (count + drawn) / (len(away) + drawn)


def _area(rank_sum: Array, n: int, m: int) -> Array:
    found: Array = (rank_sum - n * (n + 1) / 2) / (n * m)
    return found


def _standard_error(area: float, n: int, m: int) -> float:
    # At an area half a pair inside of 0 and 1, where it would be 0 however few episodes there are.
    area = (area * n * m + 0.5) / (n * m + 1)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    return math.sqrt(max(0.0, area * (1 - area) + (n - 1) * (q1 - area**2) + (m - 1) * (q2 - area**2)) / (n * m))
