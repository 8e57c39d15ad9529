"""What compute stores of a method's density beside its scores: the mixture, the mass inside the grid, and where
the recorded action and the policy's own chunks lie in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dlscore.cache.mixtures import mixture_arrays
from dlscore.common.arrays import Array
from dlscore.compute.run import Run
from dlscore.density.cells import log_cell_density
from dlscore.density.censoring import spread_edges
from dlscore.density.mixture import Mixture
from dlscore.density.regions import hdr_ranks, mass_inside
from dlscore.density.rounding import CHUNK_STEP, rounded
from dlscore.episodes.episode import Episode
from dlscore.scores.base import Scorer, ScorerError, Scores

__all__ = ["check_scores", "place_recorded", "score_arrays"]

RECORDED_STREAM = 1  # ends the seed of the draws for the recorded action, which are not those for the chunks
RANK_DRAWS = 200  # of each step's mixture: a rank is exactly uniform for any number, to 1 / 201


def check_scores(scorer: Scorer, scores: Scores, attrs: Mapping[str, Any], shape: Sequence[int]) -> None:
    """Raise ScorerError unless the scores of S steps, in `shape` (S, N, N), have what the method's attributes promise."""
    if np.shape(scores.values) != tuple(shape) or set(scores.checks) != set(scorer.checks):
        raise ScorerError(
            f"method {scorer.name} returned scores of shape {np.shape(scores.values)} and checks {sorted(scores.checks)}; it "
            f"must return {tuple(shape)} and {sorted(scorer.checks)}"
        )
    mixtures = scores.mixtures or ()
    components, kept = int(attrs.get("components", 0)), int(attrs.get("denoised", 0))
    found = sorted({len(each.weight) for each in mixtures})
    if len(mixtures) != (shape[0] if components else 0) or found not in ([], [components]):
        raise ScorerError(
            f"method {scorer.name} returned {len(mixtures)} mixtures of {found} components for {shape[0]} steps; its layout says "
            f"{components} at each"
        )
    if any(not _same_box(each, attrs.get("box")) for each in mixtures):
        raise ScorerError(
            f"method {scorer.name} returned a mixture of another box than its layout's, {attrs.get('box')}"
        )
    denoised = np.empty(0) if scores.denoised is None else scores.denoised
    if kept and denoised.shape[:2] != (shape[0], kept):
        raise ScorerError(
            f"method {scorer.name} returned denoised chunks of shape {denoised.shape}; its layout says {kept} a step"
        )


def _same_box(mixture: Mixture, box: Any) -> bool:
    return mixture.box is None if box is None else mixture.box is not None and bool(np.allclose(mixture.box, box))


def score_arrays(
    run: Run, method: str, scores: Scores, chunks: Array, episode: Episode, steps: range
) -> dict[str, Array]:
    """The arrays of the file for one method and a block of S `steps`, by name.

    chunks: (S, M, H, 2) px, drawn by the policy's own sampler. The scores are those of the mixtures as they are stored.
    """
    attrs, grid = run.score_attrs[method], run.grid
    values, found = scores.values, {f"checks/{method}/{check}": each for check, each in scores.checks.items()}
    if scores.mixtures:
        stored = [rounded(each) for each in scores.mixtures]
        if not all(_same(each, other) for each, other in zip(stored, scores.mixtures, strict=True)):
            values = np.stack([log_cell_density(each, grid) for each in stored])
        found |= mixture_arrays(method, stored)
        own = chunks[:, :, run.policy.current].astype(np.float64)
        streams = [np.random.default_rng([run.settings.seed, episode.index, step]) for step in steps]
        if kernel := attrs.get("kernel_px"):  # atoms are seen through it, so draws of the policy are too
            own = own + kernel * np.stack([rng.standard_normal(own.shape[1:]) for rng in streams])
        found[f"checks/{method}/own_rank"] = np.stack(
            [hdr_ranks(each, points, rng, RANK_DRAWS).randomised
             for each, points, rng in zip(stored, own, streams, strict=True)]
        )  # fmt: skip
        placed = place_recorded(stored, episode.action[steps.start : steps.stop : steps.step],
                                [[run.settings.seed, episode.index, step, RECORDED_STREAM] for step in steps])  # fmt: skip
        found |= {f"checks/{method}/{name}": values for name, values in placed.items()}
    if attrs.get("denoised"):
        found[f"mixture/{method}/denoised_chunks"] = np.round(np.asarray(scores.denoised) / CHUNK_STEP) * CHUNK_STEP
    if "inside" in attrs["checks"]:
        found[f"checks/{method}/inside"] = np.array([mass_inside(each, grid.cell_area) for each in values])
    return found | {f"scores/{method}": values}


def place_recorded(mixtures: Sequence[Mixture], actions: Array, seeds: Iterable[Sequence[int]]) -> dict[str, Array]:
    """Where recorded actions (S, 2) px lie in the densities of S steps, by the names of `cache.schema.RECORDED`, (S,) each.

    The log density [nats / px²] is that at the point; `density.gaussians.ZERO` where the policy's box excludes it. An action
    on an edge of the box is spread over the edge's px as the density there is, so that −log p has the entropy as its mean.
    """
    logs, ranks = [], []
    for mixture, action, seed in zip(mixtures, actions.astype(np.float64), seeds, strict=True):
        rng = np.random.default_rng(seed)
        point = action[None] if mixture.box is None else spread_edges(action[None], mixture.box, rng)
        logs.append(mixture.log_density(point)[0])
        ranks.append(hdr_ranks(mixture, point, rng))
    return {
        "recorded_log_density": np.array(logs),
        "recorded_rank": np.array([each.randomised[0] for each in ranks]),
        "recorded_rank_low": np.array([each.low[0] for each in ranks]),
        "recorded_rank_high": np.array([each.high[0] for each in ranks]),
    }


def _same(first: Mixture, second: Mixture) -> bool:
    names = ("mean", "covariance", "weight", "base")
    return first.log_norm == second.log_norm and all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in names
    )
