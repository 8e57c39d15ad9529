"""How much each chunk counts: the weights with which the chunks explain what the network predicted on their way.

M chunks are a sample: by chance one mode has more of them than its probability, another fewer. But at every noise level that
they pass, the network tells E[x₀ | y] at each of their places y, and that is exact. If the data were Gaussians N(m_i, S) about
the chunks m_i, with probabilities w_i, it would be

    D̂(y) = Σ_i r_i(y) [m_i + κ (y - m_i)],   r_i(y) ∝ w_i N(y; m_i, S + v² I),   κ = S (S + v² I)⁻¹

The w are those for which D̂ is nearest to the network's D over these places (the first PLACES of each level), and not far
from 1/M:

    minimise  Σ_levels 1/(1 + MISFIT χ⁴) Σ_y |D(y) - D̂(y)|² / noise(y)  +  RIDGE Σ_i log²(M w_i)

Since D(y) = y + v² ∇ log p_v(y), this is score matching (Hyvärinen 2005, eq. 2; Vincent 2011, eq. 7) of a mixture's weights. Like
calibrated weights in surveys (Deville & Särndal 1992) it uses what is known exactly to correct a sample. noise(y) is the variance
that D̂ would have if chunks were drawn at random, plus the mean of that over the level; χ² is what is left of a level's equations
in these units, a mean over places: a level that no weights explain says little. Everything is done along the eigenvectors of
the pilot's covariance, along which S is diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.scores.multilevel import even_weights

RIDGE = 5.0
MISFIT = 0.3
ROUNDS = 8  # of Gauss-Newton, at most
FREE = 4  # first rounds in which all levels count whole: wrong weights explain little at first
AGAIN = 2  # rounds of a half, which starts from the weights of all
SETTLED = 0.02  # largest move of log w after which there is no other round
DESCENTS = 5  # of conjugate gradients in each
FARTHEST = 2.0  # that log w moves in one round
PLACES = 256  # of each level, at most: a run of a Sobol sequence is even, each eighth of it is not
CERTAIN = 1e-6  # of the squares of D̂: no variance counts as less, since float32 does not tell it from 0
LEAST = 1e-3  # of the largest variance of chunks along an eigenvector: others are left out
LEFT = 0.2  # of a chunk's posterior variance, at least, is in S


@dataclass(frozen=True)
class Passed:
    """One step's chunks at a noise level v: places y (M, 2H) and data predictions D (M, 2H), normalised."""

    noise: float
    place: Array
    predicted: Array

    def of(self, chunks: Array) -> Passed:
        """That of some of the chunks, (M,) bool."""
        return Passed(self.noise, self.place[chunks], self.predicted[chunks])


def weigh_halves(passed: Sequence[Passed], chunks: Array, spread: Array) -> Array:
    """(1 + len(HALVES), M) the weights of `weigh` of all chunks, and of those of each half as if they were all there are."""
    rows = even_weights(len(chunks))
    variance = chunks.var(axis=0)
    shown = variance > LEAST * variance.max()
    if not shown.any():  # all chunks are the same
        return rows
    passed = [Passed(each.noise, each.place[:, shown], each.predicted[:, shown]) for each in passed]
    chunks, spread = chunks[:, shown], spread[shown]
    rows[0] = weigh(passed, chunks, spread)
    for row in rows[1:]:
        half = row > 0
        row[half] = weigh([each.of(half) for each in passed], chunks[half], spread, rows[0, half])
    return rows


def weigh(passed: Sequence[Passed], chunks: Array, spread: Array, begin: Array | None = None) -> Array:
    """(M,) weights, of the sum 1, of one step's chunks (M, 2H), from what was predicted at the levels passed.

    spread: (2H,) the variances S. Coordinates of all are along S's eigenvectors. begin: (M,) weights that are nearly right.
    """
    middle = chunks.mean(axis=0)
    chunks = (chunks - middle).astype(np.float32)
    levels = [
        Passed(each.noise, *((part[:PLACES] - middle).astype(np.float32) for part in (each.place, each.predicted)))
        for each in passed
    ]
    log_weight = np.zeros(len(chunks)) if begin is None else np.log(begin / begin.mean())
    log_weight = log_weight.astype(np.float32)
    settled = False
    for turn in range(ROUNDS) if begin is None else range(FREE, FREE + AGAIN):
        misfit = MISFIT if turn >= FREE or settled else 0.0
        equations = [_linearise(chunks, spread, log_weight, level, misfit) for level in levels]
        slope = sum(each.backward(each.precision * each.residual) for each in equations) - RIDGE * log_weight
        step = np.clip(_solve(equations, slope), -FARTHEST, FARTHEST)
        log_weight = log_weight + step
        log_weight -= np.log(np.exp(log_weight).mean())
        if np.abs(step).max() < SETTLED:
            if misfit:
                break
            settled = True
    weight = np.exp(log_weight.astype(float))
    found: Array = weight / weight.sum()
    return found


@dataclass(frozen=True)
class _Equations:
    """D̂ at P places of one level, linear in a change of log w: `member` (P, M) r, `mean` (M, 2H) each chunk's part of D̂, `whole`
    (P, 2H) D̂, `precision` (P, 2H) how much each counts, `residual` (P, 2H) D - D̂."""

    member: Array
    mean: Array
    whole: Array
    precision: Array
    residual: Array

    def forward(self, change: Array) -> Array:
        """(P, 2H) the change of D̂ with one of log w (M,), times its precision."""
        moved = self.member * change
        found: Array = self.precision * (moved @ self.mean - self.whole * moved.sum(axis=1, keepdims=True))
        return found

    def backward(self, weighed: Array) -> Array:
        """(M,) the transpose of the change of D̂, applied to (P, 2H)."""
        found: Array = (self.member * (weighed @ self.mean.T)).sum(axis=0)
        found -= self.member.T @ (weighed * self.whole).sum(axis=1)
        return found


def _linearise(chunks: Array, spread: Array, log_weight: Array, level: Passed, misfit: float = 0.0) -> _Equations:
    noise, place, predicted = level.noise, level.place, level.predicted
    variance = (spread + noise**2).astype(np.float32)
    gain = (spread / variance).astype(np.float32)
    member = (place / variance) @ chunks.T + (log_weight - 0.5 * (chunks**2 / variance).sum(axis=1))
    member = np.exp(member - member.max(axis=1, keepdims=True))
    member /= member.sum(axis=1, keepdims=True)
    mean = chunks * (1 - gain)
    whole, square = member @ mean, member**2
    random = square @ mean**2 - 2 * whole * (square @ mean) + whole**2 * square.sum(axis=1, keepdims=True)
    random = np.maximum(random, CERTAIN * float(np.square(mean).mean()) + 1e-12)
    precision = 1 / (random + random.mean())
    residual = predicted - gain * place - whole
    unexplained = float((precision * residual**2).sum(axis=1).mean())
    return _Equations(member, mean, whole, precision / np.float32(1 + misfit * unexplained**2), residual)


def _solve(equations: Sequence[_Equations], slope: Array) -> Array:
    # The Gauss-Newton step, by a few conjugate gradients.
    found, left = np.zeros_like(slope), slope.copy()
    along, size = left.copy(), float(left @ left)
    for _ in range(DESCENTS):
        if size <= 1e-12 * float(slope @ slope):
            break
        curved = RIDGE * along + sum(each.backward(each.forward(along)) for each in equations)
        far = size / float(along @ curved)
        found, left = found + far * along, left - far * curved
        size, before = float(left @ left), size
        along = left + size / before * along
    return found


def spread_of(variances: Array, now: Array, noise: float, measured: Array, deviations: tuple[Array, Array]) -> Array:
    """(2H,) the variances S of the data about each chunk's mean at the level v = `noise`, along the pilot's eigenvectors.

    variances: (2H,) of all data. now: (2, 2H) the current action's rows of the eigenvectors. measured: (M, 2, 2) the chunks'
    posterior covariances of the current action; all directions shrink by as much as these are smaller than those of one
    Gaussian. deviations: variances of data, and the deviation of y that each has at this level: S is what chunks of such means
    lack of the data's variance.
    """
    gaussian = variances * noise**2 / (variances + noise**2)
    whole = float(np.trace((now * gaussian) @ now.T))
    share = min(1.0, float(np.trace(measured, axis1=1, axis2=2).mean()) / max(whole, 1e-12))
    posterior = np.clip(share * gaussian, 1e-9, 0.98 * noise**2)
    data = posterior * noise**2 / (noise**2 - posterior)
    deviation = np.interp(np.log(data), np.log(deviations[0]), deviations[1])
    found: Array = np.maximum(data - (data / (data + noise**2) * deviation) ** 2, LEFT * posterior)
    return found
