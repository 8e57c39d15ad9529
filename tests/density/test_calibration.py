"""Ranks of a policy's own actions against the density that is said to be theirs."""

import numpy as np
import pytest

from dlscore.density.calibration import LEVELS, calibrate
from dlscore.density.mixture import Mixture
from dlscore.density.regions import hdr_ranks


def ranks_of(width, steps=300, draws=8, seed=0):
    """Ranks of draws of N(0, 20² I) under a density `width` times as wide."""
    mixture, rng = Mixture([[256.0, 256.0]], [np.eye(2) * (20 * width) ** 2], [1.0], [1.0]), np.random.default_rng(seed)
    points = 256 + 20 * rng.standard_normal((steps * draws, 2))
    return hdr_ranks(mixture, points, rng, draws=10_000).randomised.reshape(steps, draws)


def test_true_densities_are_not_contradicted():
    verdicts = [calibrate(np.random.default_rng(seed).random((80, 8))).verdict for seed in range(100)]
    assert sum(map(bool, verdicts)) <= 2


def test_intervals_hold_the_truth():
    held = [calibrate(np.random.default_rng(seed).random((100, 8))).mean_rank.interval for seed in range(100)]
    assert 90 <= sum(low <= 0.5 <= high for low, high in held) <= 100


@pytest.mark.parametrize(("width", "verdict"), [(1.0, ""), (1.3, "too wide"), (0.75, "too narrow")])
def test_a_wrong_width_is_found_and_named(width, verdict):
    found = calibrate(ranks_of(width))
    assert found.verdict == verdict
    # A Gaussian's region of level α is a disk: the share in it is 1 - (1 - α)^(width²).
    for estimate, level in zip(found.coverage, LEVELS, strict=True):
        assert estimate.value == pytest.approx(1 - (1 - level) ** (width**2), abs=0.03)
    assert found.as_dict()["verdict"] == verdict


def test_neighbours_that_err_alike_widen_the_interval():
    rng = np.random.default_rng(0)
    apart = rng.random((200, 8))
    alike = np.repeat(rng.random((20, 1)), 10, axis=0) * np.ones(8)
    widths = [np.diff(calibrate(ranks).mean_rank.interval)[0] for ranks in (apart, alike)]
    assert widths[1] > 4 * widths[0]


@pytest.mark.parametrize(("ranks", "verdict"), [
    (np.linspace(0, 1, 88), ""), (np.linspace(0, 1, 88) ** 1.2, ""), (np.linspace(0, 1, 88) ** 0.2, "too narrow"),
    (np.linspace(0, 1, 88) ** 3, "too wide"), (np.array([0.9, 0.95, 0.5, 0.7]), ""),  # four may be so by chance
])  # fmt: skip
def test_few_steps_have_no_interval_and_a_verdict_where_they_are_far_off(ranks, verdict):
    found = calibrate(ranks.reshape(-1, 4))
    assert found.mean_rank.interval is None
    assert found.mean_rank.value == pytest.approx(ranks.mean())
    assert found.verdict == verdict


def test_few_steps_of_true_densities_are_hardly_ever_contradicted():
    rng = np.random.default_rng(1)
    for steps in (1, 4, 11):
        assert np.mean([bool(calibrate(rng.random((steps, 8))).verdict) for _ in range(400)]) <= 0.02


def test_it_is_the_same_every_time():
    ranks = np.random.default_rng(3).random((70, 4))
    assert calibrate(ranks) == calibrate(ranks)
