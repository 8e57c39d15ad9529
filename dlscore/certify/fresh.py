"""Known densities that nobody has tuned on: random mixtures, random curves, kernel densities of recorded chunks.

`draw_mixtures` draws as many as asked for from two numbers, so that a certificate can be made anew with numbers that were
not known before. All are `mixtures.Mixture`; positions are in the policy's normalised units, [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from dlscore.certify.errors import CertifyError
from dlscore.certify.mixtures import ACTION_RANGE, HORIZON, NOW, Mixture, correlate, ellipses
from dlscore.common.arrays import Array
from dlscore.common.choices import require

DEVIATIONS = (0.025, 0.28)  # of every axis of a component
RATIO = 5.0  # largest ratio of a covariance's two eigenvalues; the axes' deviations differ by up to its root, 2.24
POINTS = 40  # components of a curve; kernels of a kernel density
CURVES = (0.025, 0.12)  # deviations of a curve's components
BANDWIDTHS = (0.025, 0.1)  # of a kernel density
LENGTHS = (1.5, 9.0)  # [steps] correlation length along the chunk
FASTEST = 0.05  # per step
BENDING = 0.15  # [rad / step] standard deviation of how fast headings turn
NEAR_AN_EDGE = 0.2  # share of the modes that lie near an edge
RELEASE = (
    1,
    30,
)  # seed and count of the draw in this release's documents; a release that changes scores takes another seed


def draw_mixtures(seed: int, count: int, chunks: Array | None = None) -> tuple[Mixture, ...]:
    """`count` densities from `seed`, whose kinds take turns: a mixture, a curve and, given `chunks`, a kernel density.

    mixture: 1 to 5 Gaussians (in turn) of random centres, weights, widths, directions, headings and speeds. curve: 40
    components of varying width and weight along a cubic. kernel: a kernel density of 40 `chunks` (n, H, 2) of a neighbourhood,
    in normalised units. Density k is the same whatever `count`. Raises CertifyError for numbers or chunks that do not fit.
    """
    require("the seed of --random", seed, "a whole number from 0", seed >= 0, CertifyError)
    require("the count of --random", count, "at least 1", count >= 1, CertifyError)
    kinds: dict[str, Callable[[np.random.Generator, int], Mixture]] = {"mixture": _mixture, "curve": _curve}
    if chunks is not None:
        recorded = _check_chunks(chunks)
        kinds["kernel"] = lambda rng, _: _kernel(rng, recorded)
    drawn = []
    for k in range(count):
        kind = tuple(kinds)[k % len(kinds)]
        rng = np.random.default_rng(np.random.SeedSequence((seed, k)))
        each = kinds[kind](rng, k // len(kinds))
        detail = f" of {len(each.weights)}" if kind == "mixture" else ""
        drawn.append(replace(each, name=f"fresh {seed}/{k}: {kind}{detail}", set="fresh"))
    return tuple(drawn)


def cut_chunks(episodes: Iterable[Array]) -> Array:
    """(n, H, 2) chunks in normalised units of recorded actions (T, 2) [px], one from each step that has a whole one."""
    low, high = ACTION_RANGE
    chunks = [
        2 * (actions[start : start + HORIZON] - low) / (high - low) - 1
        for actions in episodes
        for start in range(len(actions) - HORIZON + 1)
    ]
    require("the number of recorded chunks", len(chunks), f"at least 2: episodes of {HORIZON} actions or more",
            len(chunks) >= 2, CertifyError)  # fmt: skip
    return np.stack(chunks)


def _mixture(rng: np.random.Generator, turn: int) -> Mixture:
    size = 1 + turn % 5
    wide = _log_uniform(rng, *DEVIATIONS, size)
    narrow = np.maximum(wide / np.sqrt(rng.uniform(1, RATIO, size)), DEVIATIONS[0])
    centres = rng.uniform(-1, 1, (size, 2)) * (1 - 1.2 * wide)[:, None]
    for k in np.flatnonzero(rng.random(size) < NEAR_AN_EDGE):  # from 0.3 to 1 deviations inside it
        centres[k, rng.integers(2)] = rng.choice([-1, 1]) * (1 - rng.uniform(0.3, 1) * wide[k])
    weights = rng.dirichlet(np.full(size, 2.0))
    weights = (weights + 0.02) / (weights + 0.02).sum()
    heading = rng.uniform(0, 2 * np.pi, size)[:, None] + _after() * rng.normal(0, BENDING, size)[:, None]
    path = rng.uniform(0, FASTEST, size)[:, None, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
    return Mixture(
        "",
        weights,
        centres[:, None] + path * _after()[:, None],
        ellipses(np.stack([wide, narrow], -1), rng.uniform(0, np.pi, size)),
        _correlation(rng),
        tuple(int(k) for k in np.flatnonzero(weights >= 0.1)),
    )


def _curve(rng: np.random.Generator, turn: int) -> Mixture:
    # A Bézier cubic, its components evenly spaced along its length; widths and weights vary smoothly along it.
    corners = rng.uniform(-0.8, 0.8, (4, 2))
    fine = np.linspace(0, 1, 1001)[:, None]
    binomial = np.hstack([(1 - fine) ** 3, 3 * fine * (1 - fine) ** 2, 3 * fine**2 * (1 - fine), fine**3])
    line = binomial @ corners
    passed = np.concatenate([[0.0], np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum()])
    # A chunk moves on along the curve, and stops at its ends.
    along = np.linspace(0, passed[-1], POINTS)[:, None] + rng.uniform(0, FASTEST) * _after()
    chunks = np.stack([np.interp(along, passed, line[:, axis]) for axis in range(2)], -1)
    places, knots = np.linspace(0, 1, POINTS), np.linspace(0, 1, 4)
    widths = np.exp(np.interp(places, knots, np.log(_log_uniform(rng, *CURVES, 4))))
    weights = np.interp(places, knots, rng.uniform(0.1, 1, 4))
    return Mixture("", weights / weights.sum(), chunks, ellipses(np.stack([widths, widths], -1), np.zeros(POINTS)),
                   _correlation(rng), tuple(range(0, POINTS, 5)), curved=True)  # fmt: skip


def _kernel(rng: np.random.Generator, recorded: Array) -> Mixture:
    # A neighbourhood of one chunk's current action, as a policy's density is of one moment; each chunk at most once.
    count = min(POINTS, len(recorded))
    centre, reach = recorded[rng.integers(len(recorded)), NOW], rng.uniform(0.1, 0.5)
    squared = ((recorded[:, NOW] - centre) ** 2).sum(axis=1)
    # The largest of log share + Gumbel noise are a draw without replacement.
    order = np.argsort(0.5 * squared / reach**2 - rng.gumbel(size=len(recorded)))
    sigma = _log_uniform(rng, *BANDWIDTHS, 1).repeat(count)
    return Mixture("", np.full(count, 1 / count), recorded[order[:count]],
                   ellipses(np.stack([sigma, sigma], -1), np.zeros(count)),
                   _correlation(rng), tuple(range(0, count, 5)), curved=True)  # fmt: skip


def _check_chunks(chunks: Array) -> Array:
    found = np.asarray(chunks, dtype=np.float64)
    require("the shape of recorded chunks", found.shape, f"(n, {HORIZON}, 2) with n from 2",
            found.ndim == 3 and found.shape[1:] == (HORIZON, 2) and len(found) >= 2, CertifyError)  # fmt: skip
    largest = np.abs(found).max()
    require("the largest entry of recorded chunks", largest, "at most 1.5 in normalised units", largest <= 1.5,
            CertifyError)  # fmt: skip
    return found


def _after() -> Array:
    return np.arange(HORIZON) - NOW


def _correlation(rng: np.random.Generator) -> Array:
    return correlate(float(_log_uniform(rng, *LENGTHS, 1)[0]))


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Array:
    return np.exp(rng.uniform(np.log(low), np.log(high), count))
