"""A density of the current action: a Gaussian mixture with signed weights, a floor and, where the policy clips, a box.

    p(a) = exp(log_norm) · max(Σ w_i N(a; m_i, C_i), FLOOR · Σ b_i N(a; m_i, C_i))

The weights w of a multilevel estimate are signed (Giles 2008): corrections add the fine level's Gaussians and subtract the
coarse ones'. The floor, a small part of the coarse density Σ b_i N_i, keeps the sum positive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.choices import refuse
from dlscore.common.errors import UserError
from dlscore.density.censoring import Pieces, censor
from dlscore.density.gaussians import FLOOR, TINY, ZERO, blocks, coefficients, log_sum, monomials, sums
from dlscore.density.normal import even_normals

__all__ = ["FLOOR", "ZERO", "DensityError", "Mixture"]

SUM = 1e-3  # so far may sums of weights be from 1
TALLEST = 48  # Gaussians at whose means the peak is looked for first
FLOOR_POINTS = 4096  # at which the floor's mass is measured


class DensityError(UserError):
    """A mixture that is no density, or a point that has none."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Signed Gaussian mixture of the current action, in px.

    mean (K, 2) [px]; covariance (K, 2, 2) [px²]; weight (K,) signed, sums to 1; base (K,) ≥ 0, sums to 1: the coarse
    level's weights; box (2, 2) [[xmin, ymin], [xmax, ymax]] px or None: the policy clips its actions there;
    log_norm: the log of the factor by which the floored density integrates to 1 (`normalised` sets it).
    With a box each Gaussian is clipped (`censoring`), and the density outside is 0.
    """

    mean: Array
    covariance: Array
    weight: Array
    base: Array
    box: Array | None = None
    log_norm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mean", "covariance", "weight", "base", "box"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else np.asarray(value, dtype=np.float64))
        count = len(self.weight)
        shapes = {"mean": (count, 2), "covariance": (count, 2, 2), "weight": (count,), "base": (count,)}
        shapes |= {} if self.box is None else {"box": (2, 2)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not count:
                _refuse(f"{name} of shape", value.shape, f"{shape}")
            if not np.isfinite(value).all():
                _refuse(name, "", "finite")
        xx, xy, yx, yy = self.covariance.reshape(-1, 4).T
        definite = np.minimum(xx, xx * yy - xy**2).min() > 0
        if not definite or (np.abs(xy - yx) > 1e-8 + 1e-6 * np.abs(yx)).any():
            _refuse("covariance", "", "symmetric and positive definite")
        if self.base.min() < 0:
            _refuse("smallest base", self.base.min(), "0 or more")
        for name in ("weight", "base"):
            total = float(getattr(self, name).sum())
            if not abs(total - 1) < SUM:
                _refuse(f"sum of {name}", f"{total:g}", "1")
        if self.box is not None and not (self.box[0] < self.box[1]).all():
            _refuse("box", self.box, "[[xmin, ymin], [xmax, ymax]]")
        if not np.isfinite(self.log_norm):
            _refuse("log_norm", self.log_norm, "finite")

    @cached_property
    def pieces(self) -> Pieces:
        """The Gaussians that are summed: the components, and with a box what lies on its edges; weights are w and b."""
        return self.components if self.box is None else censor([self.components], self.box)[0]

    @property
    def components(self) -> Pieces:
        """The Gaussians, unclipped, without those of no weight, with which a cache fills up its rows (`padded`)."""
        some = np.flatnonzero((self.weight != 0) | (self.base != 0))
        weight = np.stack([self.weight[some], self.base[some]], axis=-1)
        return Pieces(self.mean[some], self.covariance[some], weight)

    @cached_property
    def linear(self) -> Array:
        """(6, J) coefficients of the pieces' log densities (`gaussians.coefficients`)."""
        return coefficients(self.pieces.mean, self.pieces.covariance)

    @cached_property
    def _weights(self) -> Array:
        return self.pieces.weight.astype(np.float32)

    def within(self, points: Array) -> Array:
        """(...,) bool: which points (..., 2) px are in the box."""
        if self.box is None:
            return np.ones(points.shape[:-1], dtype=bool)
        between = (points >= self.box[0]) & (points <= self.box[1])
        inside: Array = between[..., 0] & between[..., 1]
        return inside

    def log_density(self, points: Array) -> Array:
        """(...,) log p [nats / px²] at points (..., 2) px; ZERO outside the box."""
        points = np.asarray(points, dtype=np.float64)
        flat = points.reshape(-1, 2)
        found = np.empty(len(flat))
        for part in blocks(len(flat), len(self._weights)):
            found[part] = log_sum(monomials(flat[part]) @ self.linear, self._weights)
        inside: Array = np.where(self.within(flat), np.maximum(found + self.log_norm, ZERO), ZERO)
        return inside.reshape(points.shape[:-1])

    @cached_property
    def near_peak(self) -> float:
        """log p [nats / px²] at the best of the means of the TALLEST Gaussians: the peak, or a few hundredths less."""
        pieces = self.pieces
        xx, xy, yy = pieces.covariance[:, 0, 0], pieces.covariance[:, 0, 1], pieces.covariance[:, 1, 1]
        height = np.abs(pieces.weight).max(axis=1) / np.sqrt(xx * yy - xy**2)
        return float(self.log_density(pieces.mean[np.argsort(height)[-TALLEST:]]).max())

    def peak(self) -> float:
        """The largest log density [nats / px²]: the best of the components' means, then a search around it."""
        centres = self.pieces.mean[self.within(self.pieces.mean)]
        if not len(centres):
            centres = np.clip(self.mean, *self.box) if self.box is not None else self.mean
        values = self.log_density(centres)
        best, place = float(values.max()), centres[values.argmax()]
        reach = np.sqrt(np.median(np.linalg.eigvalsh(self.components.covariance)))
        offsets = np.stack(np.meshgrid(*[np.linspace(-1, 1, 7)] * 2), axis=-1).reshape(-1, 2)
        for _ in range(6):
            around = place + reach * offsets
            values = self.log_density(around)
            if values.max() > best:
                best, place = float(values.max()), around[values.argmax()]
            reach /= 2.5
        return best

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """(count, 2) px: independent draws from p.

        By rejection, exactly: max(Σ w N, FLOOR Σ b N) is nowhere above Σ (max(w, 0) + FLOOR b) N, from which is drawn.
        1 / (Σ max(w, 0) + FLOOR) of the draws are accepted.
        """
        chunks: list[Array] = []
        total = 0
        for proposals, ratio in self._proposals(count, rng):
            chunks.append(proposals[rng.random(len(ratio)) < ratio])
            total += len(chunks[-1])
            if total >= count:
                break
        return np.concatenate(chunks)[:count] if chunks else np.empty((0, 2))

    def _proposals(self, count: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        # Points (n, 2) from the envelope, and the density over it, at most 1.
        above = np.maximum(self.pieces.weight[:, 0], 0) + FLOOR * self.pieces.weight[:, 1]
        roots = np.linalg.cholesky(self.pieces.covariance)
        envelope = np.stack([above, above], axis=-1).astype(np.float32)
        while count:
            number = int(1.1 * count * above.sum()) + 16
            chosen = rng.choice(len(above), size=number, p=above / above.sum())
            moved = np.einsum("nij,nj->ni", roots[chosen], rng.standard_normal((number, 2)))
            points = self.pieces.mean[chosen] + moved
            ratio = np.empty(number)
            for part in blocks(number, len(above)):
                logs = monomials(points[part]) @ self.linear
                log_above = log_sum(logs.copy(), envelope)
                ratio[part] = np.exp(log_sum(logs, self._weights) - log_above)
            yield points, np.where(self.within(points), ratio, 0)

    def padded(self, count: int) -> Mixture:
        """The same density of `count` components, at least as many as there are: the last one is repeated without weight."""
        more = count - len(self.weight)
        mean, covariance = (
            np.concatenate([each, np.repeat(each[-1:], more, axis=0)]) for each in (self.mean, self.covariance)
        )
        weight, base = (np.pad(each, (0, more)) for each in (self.weight, self.base))
        return replace(self, mean=mean, covariance=covariance, weight=weight, base=base)

    def normalised(self) -> Mixture:
        """The same mixture with the `log_norm` by which it integrates to 1: 0 where the floor is never reached.

        The floor adds E[max(0, FLOOR - s / b)] over the coarse density b, s being the signed sum: a mean over FLOOR_POINTS
        points, to about 0.1 % of the mass where the floor adds 1 %.
        """
        if (self.weight >= FLOOR * self.base).all():
            return replace(self, log_norm=0.0)
        points, added = self._even_points(), 0.0
        points = points[self.within(points)]
        for part in blocks(len(points), len(self.pieces.mean)):
            signed, base = sums(monomials(points[part]) @ self.linear, self._weights)[0].T
            added += float(np.maximum(FLOOR - signed / np.maximum(base, TINY), 0).sum())
        return replace(self, log_norm=float(-np.log1p(added / len(points))))

    def _even_points(self) -> Array:
        # (P, 2) points of the coarse density: components in proportion to b, and in each an even sequence.
        base = self.pieces.weight[:, 1]
        index = np.arange(FLOOR_POINTS) + 0.5
        chosen = np.searchsorted(np.cumsum(base), index / FLOOR_POINTS * base.sum()).clip(max=len(base) - 1)
        normal = even_normals(index)
        roots = np.linalg.cholesky(self.pieces.covariance[chosen])
        points: Array = self.pieces.mean[chosen] + np.einsum("nij,jn->ni", roots, normal)
        return points


def _refuse(what: str, value: object, allowed: str) -> NoReturn:
    refuse(f"mixture's {what}", value, allowed, DensityError)
