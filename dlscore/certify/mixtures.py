"""Known densities of action chunks, as Gaussian mixtures over whole chunks.

Chunks x_0 ~ Σ w_k N(μ_k, R ⊗ S_k), with R a smooth correlation over the chunk and S_k a covariance in the plane. Positions
are in the policy's normalised units, [-1, 1] for the range of its actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from dlscore.common.arrays import Array
from dlscore.grid import Grid
from dlscore.policy.base import Policy

HORIZON, NOW = 16, 1  # of the policies below: n_obs_steps is 2
ACTION_RANGE = (12.0, 511.0)  # [px] what [-1, 1] stands for, about the range of the human data


@dataclass(frozen=True)
class Mixture:
    """A known density of chunks. `chunks` (K, H, 2) means, `covariances` (K, 2, 2) S_k, `correlation` (H, H) R.

    `modes` are the components whose place an estimate must find: those of at least 10 % of the mass, or points along a
    `curved` mode, which have no peaks of their own. `set` is "fixed", or "fresh" for those of `fresh.draw_mixtures`.
    """

    name: str
    weights: Array
    chunks: Array
    covariances: Array
    correlation: Array
    modes: tuple[int, ...]
    curved: bool = False
    set: str = "fixed"

    @property
    def centres(self) -> Array:
        """(K, 2) means of the current action."""
        centres: Array = self.chunks[:, NOW]
        return centres

    def log_masses(self, policy: Policy, grid: Grid, fine: int = 8) -> Array:
        """(N, N) log of the true probability of each cell [y, x], by `fine`² points a cell."""
        n = grid.resolution
        points = policy.from_px(grid.subdivide(fine))
        terms = []
        for weight, centre, covariance in zip(self.weights, self.centres, self.covariances, strict=True):
            away = points - centre
            power = np.einsum("yxi,ij,yxj->yx", away, np.linalg.inv(covariance), away)
            terms.append(np.log(weight) - 0.5 * power - 0.5 * np.log(np.linalg.det(2 * np.pi * covariance)))
        log_density = logsumexp(terms, axis=0).reshape(n, fine, n, fine)
        mean = logsumexp(log_density, axis=(1, 3)) - 2 * np.log(fine)
        return np.asarray(mean + np.log(grid.cell_area / policy.px_per_unit.prod()))

    def near(self, mode: int, policy: Policy, grid: Grid) -> Array:
        """(N, N) bool, the cells whose centres are within two standard deviations of a mode, and the one it is in."""
        away = policy.from_px(grid.actions) - self.centres[mode]
        power = np.einsum("yxi,ij,yxj->yx", away, np.linalg.inv(self.covariances[mode]), away)
        return np.asarray(power <= max(4.0, float(power.min())))


def ellipses(deviations: Array, angles: Array) -> Array:
    """(K, 2, 2) covariances with standard deviations (K, 2) along and across the directions `angles` (K,) [rad]."""
    along = np.stack([np.cos(angles), np.sin(angles)], -1)
    axes = np.stack([along, np.stack([-along[:, 1], along[:, 0]], -1)], -1)  # [k, coordinate, axis]
    return np.asarray(np.einsum("kij,kj,klj->kil", axes, deviations**2, axes))


def correlate(length: float) -> Array:
    """(H, H) correlation over a chunk: squared exponential of correlation length `length` [steps], and a little white noise."""
    lag = np.arange(HORIZON)[:, None] - np.arange(HORIZON)
    correlation = np.exp(-0.5 * (lag / length) ** 2) + 1e-3 * np.eye(HORIZON)
    return np.asarray(correlation / correlation[0, 0])


def gaussians(
    name: str,
    centres: Sequence[Sequence[float]],
    sigma: float | Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    stretch: float = 1.0,
    turn: Sequence[float] | None = None,
    length: float = 4.0,
    speed: float = 0.02,
) -> Mixture:
    """Modes at `centres`, of standard deviation `sigma` along and sigma · `stretch` across the direction `turn` [°].

    The chunk of mode k moves through its centre at `speed` a step, in a direction of its own, and bends; `length` is
    the correlation length along the chunk in steps.
    """
    count = len(centres)
    sigmas = np.broadcast_to(np.asarray(sigma, dtype=float), (count,))
    angles = np.deg2rad(np.zeros(count) if turn is None else np.asarray(turn, dtype=float))
    after = np.arange(HORIZON) - NOW
    heading = 2.4 * np.arange(count)[:, None] + 0.05 * after  # 2.4 rad: the golden angle, no two modes alike
    path = speed * after[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
    return Mixture(
        name,
        np.full(count, 1 / count) if weights is None else np.asarray(weights, dtype=float),
        np.asarray(centres, dtype=float)[:, None] + path,
        ellipses(np.stack([sigmas, sigmas * stretch], -1), angles),
        correlate(length),
        tuple(range(count)) if weights is None else tuple(k for k, weight in enumerate(weights) if weight >= 0.1),
    )


def banana(name: str, radius: float, arc: float, sigma: float, *, centre: tuple[float, float] = (0.0, 0.0)) -> Mixture:
    """One curved mode: 48 components along `arc` degrees of a circle, whose chunks move on along it."""
    angles = np.deg2rad(np.linspace(-arc / 2, arc / 2, 48))
    after = np.arange(HORIZON) - NOW
    along = angles[:, None] + 0.03 * after
    chunks = np.asarray(centre) + radius * np.stack([np.cos(along), np.sin(along)], -1)
    one = gaussians(name, [[0.0, 0.0]], sigma)
    return Mixture(name, np.full(48, 1 / 48), chunks, np.repeat(one.covariances, 48, axis=0),
                   one.correlation, tuple(range(0, 48, 6)), curved=True)  # fmt: skip


SQUARE = [[-0.5, -0.5], [0.5, -0.45], [0.45, 0.5], [-0.5, 0.4]]
MIXTURES: tuple[Mixture, ...] = (
    gaussians("one wide", [[0.1, -0.2]], 0.25),
    gaussians("one", [[-0.3, 0.2]], 0.1),
    gaussians("one narrow", [[0.25, 0.35]], 0.04),
    gaussians("one half a cell wide", [[-0.12, -0.41]], 0.02),
    gaussians("one anisotropic", [[0.0, 0.1]], 0.25, stretch=0.15, turn=[30]),
    gaussians("one at the edge", [[0.95, 0.1]], 0.08),
    gaussians("one in the corner", [[-0.92, 0.93]], 0.1),
    gaussians("one with short correlation", [[0.3, -0.3]], 0.08, length=1.5),
    gaussians("one with long correlation", [[-0.2, -0.1]], 0.08, length=9),
    gaussians("two", SQUARE[:2], 0.1),
    gaussians("two unequal", SQUARE[1:3], 0.08, [0.85, 0.15]),
    gaussians("two narrow", SQUARE[2:], 0.03, [0.4, 0.6]),
    gaussians("two near each other", [[0.0, 0.0], [0.3, 0.05]], 0.1),
    gaussians("two parallel narrow", [[0.0, 0.0], [0.12, 0.0]], 0.025, speed=0.0),
    gaussians("two of different width", [[-0.3, 0.0], [0.45, 0.1]], [0.2, 0.04]),
    gaussians("two crossing", [[0.0, 0.0], [0.0, 0.0]], 0.25, stretch=0.16, turn=[20, 110]),
    gaussians("two at the edges", [[-0.93, 0.2], [0.94, -0.3]], 0.07),
    gaussians("two that part later", [[0.1, 0.1], [0.1, 0.1]], 0.07, speed=0.05),
    gaussians("three", SQUARE[:3], 0.08),
    gaussians("three unequal", SQUARE[1:], 0.07, [0.6, 0.3, 0.1]),
    gaussians("three in a row", [[-0.4, -0.4], [0.0, 0.0], [0.4, 0.4]], 0.06),
    gaussians("three of different width", SQUARE[:3], [0.2, 0.1, 0.04], [0.5, 0.3, 0.2]),
    gaussians("three anisotropic", SQUARE[:3], 0.15, stretch=0.3, turn=[0, 60, 120]),
    gaussians("four", SQUARE, 0.09),
    gaussians("four unequal", SQUARE, 0.08, [0.4, 0.3, 0.2, 0.1]),
    gaussians("four narrow", SQUARE, 0.035),
    gaussians("four wide", SQUARE, 0.2),
    gaussians("four with two at the edge", [[-0.9, -0.3], [0.9, 0.2], [0.0, 0.5], [0.1, -0.5]], 0.07),
    banana("banana", 0.6, 180, 0.05, centre=(-0.2, 0.0)),
    banana("narrow banana", 0.4, 120, 0.03),
    banana("ring", 0.5, 352, 0.06),
)
