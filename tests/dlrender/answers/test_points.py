"""Weighted points against what is known of Gaussians, and against draws."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from support.known import gaussian, mixture_of

from dlrender.answers.points import weighted_points
from dlrender.answers.samples import energy_distance, energy_score
from dlscore.density.mixture import Mixture

BOX = [[12.0, 12.0], [511.0, 511.0]]
SIGNED = Mixture(
    mean=[[200, 300], [260, 310], [205, 300]],
    covariance=[np.eye(2) * 400, np.eye(2) * 900, np.eye(2) * 300],
    weight=[0.9, 0.4, -0.3],
    base=[0.6, 0.4, 0.0],
).normalised()


def test_entropy_and_areas_of_a_gaussian():
    points = weighted_points(gaussian([256, 256], 25), np.random.default_rng(0))
    assert points.entropy == pytest.approx(np.log(2 * np.pi * np.e * 25**2), abs=0.02)
    levels = (0.5, 0.8, 0.95)
    truth = [-2 * np.log(1 - level) * np.pi * 25**2 for level in levels]
    np.testing.assert_allclose(points.areas(levels), truth, rtol=0.04)


@pytest.mark.parametrize("mixture", [SIGNED, mixture_of([(0.5, [20, 20], 15), (0.5, [300, 500], 30)], BOX)])
def test_entropy_and_ranks_agree_with_draws(mixture):
    draws = mixture.draw(20_000, np.random.default_rng(1))
    log_density = mixture.log_density(draws)
    found = [weighted_points(mixture, np.random.default_rng(seed)) for seed in range(40)]
    assert np.mean([each.entropy for each in found]) == pytest.approx(-log_density.mean(), abs=0.03)
    for rank in (0.2, 0.5, 0.9):
        action = np.quantile(log_density, 1 - rank)
        assert np.mean([each.denser(action) for each in found]) == pytest.approx(rank, abs=0.015)


def test_the_energy_score_of_a_gaussian():
    # E|X - m| = s √(π/2) and E|X - X'| = s √π in the plane.
    points = weighted_points(gaussian([256, 256], 25), np.random.default_rng(0))
    score = energy_score(points.point, points.weight, np.array([256.0, 256.0]))
    assert score == pytest.approx(25 * (np.sqrt(np.pi / 2) - np.sqrt(np.pi) / 2), rel=0.02)


def test_the_energy_distance_is_unbiased_and_has_the_unit_of_the_points():
    rng = np.random.default_rng(0)
    same = [energy_distance(rng.normal(size=(8, 3)), rng.normal(size=(8, 3))) for _ in range(2000)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(2000)
    a, b = np.zeros((4, 2)), np.tile([30.0, 40.0], (4, 1))
    assert energy_distance(a, b) == pytest.approx(100)  # 2 × 50 px


@pytest.mark.parametrize("spread", [0.5, 60.0])
def test_the_energy_distance_is_as_exact_as_its_samples_are_spread(spread):
    rng = np.random.default_rng(0)
    a, b = (400 + rng.normal(0, spread, size=(64, 26)) for _ in range(2))
    truth = 2 * cdist(a, b).mean() - pdist(a).mean() - pdist(b).mean()
    assert energy_distance(a, b) == pytest.approx(truth, abs=1e-5 * spread)


@pytest.mark.parametrize(("scale", "low", "high"), [(1.0, 0.47, 0.53), (1.3, 0.0, 0.42), (1 / 1.3, 0.58, 1.0)])
def test_ranks_of_true_draws_are_uniform_and_wrong_scales_are_told(scale, low, high):
    parts = [(0.6, [200, 300], 20), (0.4, [330, 260], 30)]
    actions = mixture_of(parts).draw(800, np.random.default_rng(0))
    scored = mixture_of([(weight, mean, scale * sigma) for weight, mean, sigma in parts])
    ranks = np.sort([
        weighted_points(scored, np.random.default_rng(k)).denser(log_density)
        for k, log_density in enumerate(scored.log_density(actions))
    ])  # fmt: skip
    assert low < ranks.mean() < high
    if scale == 1:
        steps = np.arange(801) / 800
        distance = max(np.abs(ranks - steps[1:]).max(), np.abs(ranks - steps[:-1]).max())
        assert distance < 1.36 / np.sqrt(800)  # Kolmogorov & Smirnov, 5 %


def test_the_densities_at_the_points_are_those_of_the_mixture():
    # Two narrow modes 300 px apart, one on an edge of the box: what float32 can do least.
    mixture = mixture_of([(0.5, [40, 13], 2), (0.5, [340, 250], 3)], box=[[12.0, 12.0], [500.0, 500.0]])
    points = weighted_points(mixture, np.random.default_rng(0))
    np.testing.assert_allclose(points.log_density, mixture.log_density(points.point), atol=5e-3)
    assert points.weight[points.point[:, 0] < 200].sum() == pytest.approx(0.5, abs=0.02)
