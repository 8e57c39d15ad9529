"""Distances between samples: how far two sets of chunks, or a density and an action, are apart."""

from __future__ import annotations

import numpy as np

from dlscore.common.arrays import Array


def energy_distance(a: Array, b: Array) -> float:
    """2 E|X − Y| − E|X − X'| − E|Y − Y'| of samples (m, d) and (n, d), in their unit (Székely & Rizzo 2013).

    Pairs of a point with itself are left out, so the estimate is unbiased: 0 on average for samples of one distribution, and
    then negative as often as positive.
    """
    return 2 * float(distances(a, b).mean()) - _within(a) - _within(b)


def energy_score(points: Array, weight: Array, action: Array) -> float:
    """E|X − a| − ½ E|X − X'| [px] of a density's points (P, 2) px with weights (P,) and an action (2,) px; less is better.

    Gneiting & Raftery (2007), equation 21.
    """
    near = float(weight @ np.linalg.norm(points - action, axis=-1))
    return near - 0.5 * float(weight @ distances(points, points) @ weight)


def distances(a: Array, b: Array) -> Array:
    """(m, n) Euclidean distances between points (m, d) and (n, d)."""
    result: Array = a @ (-2 * b.T)
    result += np.einsum("ij,ij->i", a, a)[:, None]
    result += np.einsum("ij,ij->i", b, b)
    np.maximum(result, 0, out=result)
    return np.sqrt(result, out=result)


def _within(a: Array) -> float:
    return float(distances(a, a).sum()) / (len(a) * (len(a) - 1))
