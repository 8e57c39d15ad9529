"""The error that an estimate tells of itself is the one that it has, in known cases."""

from dataclasses import replace

import numpy as np
import pytest

from dlscore.certify.metrics import total_variation
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.grid import Grid
from dlscore.scores.error import DISTANCES, LEAST, estimate_error
from dlscore.scores.multilevel import Level, join
from dlscore.scores.start import normal_points

GRID = Grid(50)
WIDE, KERNEL = 60.0, 35.0  # px, deviations of the means and of each Gaussian about its mean


def gaussians(centres, sigma):
    return Level(np.asarray(centres), np.broadcast_to(np.eye(2) * sigma**2, (len(centres), 2, 2)))


def masses(mixture):
    return np.exp(log_cell_density(mixture, GRID)) * GRID.cell_area


def one_gaussian(deviation):
    one = np.ones(1)
    return masses(Mixture(np.full((1, 2), 256.0), deviation**2 * np.eye(2)[None], one, one))


def draw(count, seed):
    return np.random.default_rng(seed).normal(256, WIDE, (count, 2))


@pytest.mark.parametrize("count", [64, 512])
def test_of_independent_means_it_is_the_standard_error(count):
    truth, true, told = one_gaussian(np.hypot(WIDE, KERNEL)), [], []
    for seed in range(6):
        joined = join([gaussians(draw(count, seed), KERNEL)], None)
        true.append(total_variation(masses(joined.mixture), truth))
        told.append(estimate_error(joined).total_variation)
    assert 0.7 < np.mean(told) / np.mean(true) < 1.4


def test_the_log_error_is_that_of_the_log_density():
    """Root mean squares over seeds at points one deviation from the peak, ½ nat below it, and at three, 4.5 below."""
    spread, found = np.hypot(WIDE, KERNEL), []
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], -1)
    for seed in range(8):
        joined = join([gaussians(draw(256, seed), KERNEL)], None)
        told = estimate_error(joined).log_error
        for far, k in ((1.0, 0), (3.0, 4)):
            true = -0.5 * far**2 - np.log(2 * np.pi * spread**2)
            away = joined.mixture.log_density(256 + far * spread * circle) - true
            found.append((far, np.mean(away**2), told[k] ** 2))
    for far in (1.0, 3.0):
        true, told = np.sqrt(np.mean([each[1:] for each in found if each[0] == far], axis=0))
        assert 0.5 < told / true < 2


@pytest.mark.parametrize(("scale", "shift"), [(1.0, -400.0), (0.2, 0.0), (3.0, 100.0)])
def test_it_is_the_same_wherever_and_however_large_the_density_is(scale, shift):
    levels = [gaussians(draw(64, 0), 35), gaussians(draw(64, 0), 15)]
    moved = [Level(256 + shift + scale * (each.mean - 256), each.covariance * scale**2) for each in levels]
    one, two = (estimate_error(join(each, None)) for each in (levels, moved))
    assert two.total_variation == pytest.approx(one.total_variation, rel=1e-3)
    np.testing.assert_allclose(two.log_error, one.log_error, rtol=0.02, atol=1e-4)


def test_what_does_not_vary_has_no_sampling_error():
    joined = join([gaussians(np.full((16, 2), 200.0), 20)], None)
    for density, least in LEAST.items():
        found = estimate_error(joined, density)
        assert found.total_variation == pytest.approx(least, abs=1e-4)
        np.testing.assert_allclose(found.log_error, 0, atol=1e-4)
        assert found.log_error.shape == (len(DISTANCES),)


def test_levels_that_differ_are_part_of_it():
    modes = np.where(np.arange(64)[:, None] % 2, [220.0, 256.0], [280.0, 256.0])
    joined = join([gaussians(0.5 * modes + 125, 25), gaussians(modes, 12)], None)
    assert joined.weights[0] == 1
    kept, dropped = estimate_error(joined), estimate_error(replace(joined, weights=np.zeros(1)))
    alone = estimate_error(join([gaussians(0.5 * modes + 125, 25)], None))
    assert kept.parts["dropped"] == 0
    assert kept.parts["beyond"] > 0.1
    assert dropped.parts["beyond"] == 0
    assert dropped.parts["dropped"] > 0.1
    assert alone.total_variation < kept.total_variation


def test_the_log_error_grows_from_the_peak():
    found = estimate_error(join([gaussians(draw(128, 1), KERNEL)], None)).log_error
    assert (found >= 0).all()
    assert found[:2].max() < found[5:].min()


def test_of_even_means_it_is_less():
    """A whole Sobol sequence is better than its halves show, if these are taken for independent."""
    truth, true, told, independent = one_gaussian(np.hypot(WIDE, KERNEL)), [], [], []
    for seed in range(12):
        joined = join([gaussians(256 + WIDE * normal_points(64, 2, seed), KERNEL)], None)
        estimate = estimate_error(joined)
        true.append(total_variation(masses(joined.mixture), truth))
        told.append(estimate.parts["sampling"])
        halves = [replace(joined.mixture, weight=weight, base=base) for weight, base in joined.halves]
        independent.append(
            np.mean([total_variation(*map(masses, pair)) for pair in zip(halves[::2], halves[1::2], strict=True)]) / 2
        )
    assert np.mean(independent) > 1.7 * np.mean(true)
    assert np.mean(true) < np.mean(told) < 0.9 * np.mean(independent)
