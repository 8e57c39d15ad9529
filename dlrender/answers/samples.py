"""Distances between samples: how far two sets of chunks, or a density and an action, are apart."""

from __future__ import annotations

import numpy as np

from dlscore.common.arrays import Array


def energy_distance(a: Array, b: Array) -> float:
    """2 E|X − Y| − E|X − X'| − E|Y − Y'| of samples (m, d) and (n, d), in their unit (Székely & Rizzo 2013).

    Pairs of a point with itself are left out, so the estimate is unbiased: 0 on average for samples of one distribution, and
    then negative as often as positive. In float32 about their mean, which adds an error of 1e-5 of the spread.
    """
    both, m, n = np.concatenate([a, b]), len(a), len(b)
    apart = _apart(both - both.mean(axis=0))
    between, in_a, in_b = (float(part.sum()) for part in (apart[:m, m:], apart[:m, :m], apart[m:, m:]))
    return 2 * between / (m * n) - in_a / (m * (m - 1)) - in_b / (n * (n - 1))


def energy_score(points: Array, weight: Array, action: Array) -> float:
    """E|X − a| − ½ E|X − X'| [px] of a density's points (P, 2) px with weights (P,) and an action (2,) px; less is better.

    Gneiting & Raftery (2007), equation 21. Distances between points are in float32, which adds an error below 1e-4 px.
    """
    near = float(weight @ np.linalg.norm(points - action, axis=-1))
    return near - 0.5 * float(weight @ (_apart(points - weight @ points) @ weight.astype(np.float32)))


def distances(a: Array, b: Array) -> Array:
    """(m, n) Euclidean distances between points (m, d) and (n, d)."""
    result: Array = a @ (-2 * b.T)
    result += np.einsum("ij,ij->i", a, a)[:, None]
    result += np.einsum("ij,ij->i", b, b)
    np.maximum(result, 0, out=result)
    return np.sqrt(result, out=result)


def _apart(points: Array) -> Array:
    # (n, n) float32 distances of points (n, d) about 0 from each other.
    found = distances(*2 * [points.astype(np.float32)])
    np.fill_diagonal(found, 0)  # which it is, but for rounding
    return found
