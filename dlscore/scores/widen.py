"""Kernels as wide as the density of so few chunks needs.

Where slopes are distrusted each chunk is a narrow Gaussian at the finest level, and where the density is wide, the mixture of M
of them is rough. So a part h² of the chunks' own covariance B is added to all kernels, and their means are drawn together, so
that the mean and the covariance of the whole stay (West 1993, section 2):

    m ← μ + √(1 − h²) (m − μ),     C ← C + h² B

The kernels have at most the share M^(−1/3) of the variance, with which a kernel density of M draws of a Gaussian is best in two
dimensions (Scott 1992, eq. 6.44). Of that as little is added as makes chunks nearly as likely under the others as they can be
(leave-one-out likelihood, Habbema, Hermans & van den Broek 1974): where modes are far apart, nothing.
"""

from __future__ import annotations

import numpy as np

from dlscore.common.arrays import Array
from dlscore.density.gaussians import TINY, coefficients, monomials, sums
from dlscore.scores.multilevel import Level

PARTS = 2.0 ** np.arange(-8.0, 1.0)  # of the most that is added
NEARLY = 0.05  # nats within the best: the least that is added so is taken
SIGMA = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # points with the moments of a standard normal
ASKED = 256  # chunks, at most, that are left out in turn


def widen(level: Level) -> Level:
    """The Gaussians of a step, wider where that makes them more likely; means that will be clipped are where they were before."""
    count = len(level.mean)
    between, within = np.cov(level.mean.T), level.covariance.mean(axis=0)
    most = (count ** (-1 / 3) * np.trace(between + within) - np.trace(within)) / max(np.trace(between), TINY)
    if most <= 0:
        return level
    wider = [level, *(_widened(level, between, part * most) for part in PARTS)]
    roots = np.linalg.cholesky(level.covariance[:ASKED])
    asked = monomials((level.mean[:ASKED, None] + np.einsum("mij,kj->mki", roots, SIGMA)).reshape(-1, 2))
    likely = np.array([_left_out(asked, each) for each in wider])
    return wider[int(np.argmax(likely >= likely.max() - NEARLY))]


def _widened(level: Level, between: Array, square: float) -> Level:
    middle = level.mean.mean(axis=0)
    return Level(middle + np.sqrt(1 - square) * (level.mean - middle), level.covariance + square * between)


def _left_out(asked: Array, level: Level) -> float:
    # Mean log density [nats / px²] at points of the first Gaussians, by their monomials, each point under the other Gaussians.
    count, points = len(level.mean), np.arange(len(asked))
    logs = asked @ coefficients(level.mean, level.covariance)
    logs[points, points // len(SIGMA)] = -np.inf
    total, largest = sums(logs, np.full((count, 1), 1 / (count - 1), dtype=np.float32))
    return float((np.log(np.maximum(total[:, 0], TINY)) + largest).mean())
