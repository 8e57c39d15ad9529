"""The interval of a proportion, such as a success rate."""

from __future__ import annotations

import math

__all__ = ["NORMAL_95", "wilson_interval"]

NORMAL_95 = 1.959963984540054  # quantile of the standard normal distribution for 95 %


def wilson_interval(successes: int, trials: int, quantile: float = NORMAL_95) -> tuple[float, float]:
    """The 95 % interval of a proportion: those p that a score test does not reject (Wilson 1927).

    It stays in [0, 1] and has a width also at 0 and at 1, where the usual p ± 1.96 √(p (1 - p) / n) has none. (0, 1) of no
    trials.
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, quantile**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)
