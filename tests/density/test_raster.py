"""Rasters of mixtures and the regions in them, against the exact density and analytic thresholds."""

import numpy as np
import pytest

from dlscore.density.gaussians import ZERO
from dlscore.density.level_sets import level_sets
from dlscore.density.mixture import Mixture
from dlscore.density.raster import rasterise
from dlscore.density.refining import half_band

LEVELS = (0.5, 0.8, 0.95)
BOX = np.array([[12.0, 12.0], [511.0, 511.0]])


def turned(deviations, angle):
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag(np.square(deviations)) @ turn.T


def many(count=120, seed=0, box=None):
    """Gaussians of 1 to 30 px in all directions, a quarter of them subtracted again from wider ones."""
    rng = np.random.default_rng(seed)
    small = np.geomspace(1, 30, count)
    covariance = np.stack([turned((s, s * rng.uniform(1, 2)), rng.uniform(0, np.pi)) for s in small])
    weight = np.full(count, 1.0)
    weight[::8] = -0.3
    base = np.where(np.arange(count) >= count // 2, 1.0, 0.0)
    mean = 256 + rng.normal(0, 20, (count, 2))
    return Mixture(mean, covariance, weight / weight.sum(), base / base.sum(), box).normalised()


def centres(raster):
    height, width = raster.values.shape
    x, y = (raster.start[k] + raster.pixel * np.arange(n) for k, n in ((0, width), (1, height)))
    return np.stack(np.meshgrid(x, y), axis=-1)


def test_a_new_sample_of_a_gaussian_is_right_to_1e_4_of_its_peak():
    places, deviation = np.arange(4) + 0.5, 1 / 0.55
    at = np.linspace(-5, 5, 400) * deviation
    found = sum(
        w * (np.exp(-0.5 * ((at + p) / deviation) ** 2) + np.exp(-0.5 * ((at - p) / deviation) ** 2))
        for w, p in zip(half_band(), places, strict=True)
    )
    assert np.abs(found - np.exp(-0.5 * (at / deviation) ** 2)).max() < 1e-4
    assert half_band().sum() == pytest.approx(0.5)


@pytest.mark.parametrize("box", [None, BOX])
@pytest.mark.parametrize(("corner", "side", "resolution"), [
    ((176.0, 170.0), 160.0, 386),
    ((0.0, 0.0), 512.0, 193),
    ((230.3, 251.9), 31.0, 97),
    ((480.0, 300.0), 160.0, 50),
])  # fmt: skip
def test_a_raster_is_the_mixtures_log_density(corner, side, resolution, box):
    mixture = many(box=box)
    raster = rasterise(mixture, corner, side, resolution)
    exact = mixture.log_density(centres(raster))
    below = mixture.peak() - exact
    off = np.abs(raster.log_density() - exact)
    if (below <= 8).any():  # the floor makes creases, over which the last doubling is off
        assert np.quantile(off[below <= 6], 0.99) < 0.05
        assert off[below <= 8].mean() < 0.01
    else:
        assert raster.log_density().max() < mixture.peak() - 8
    if box is not None:
        np.testing.assert_array_equal(raster.log_density() == np.float32(ZERO), exact == ZERO)


def test_a_raster_of_a_single_gaussian_is_exact_between_its_samples():
    # The logarithm of a Gaussian is a parabola, which the last doubling keeps, at a spacing of 0.9 deviations.
    mixture = Mixture([[256.2, 255.7]], [np.diag([1.0, 2.0])], [1.0], [1.0])
    raster = rasterise(mixture, (246.0, 246.0), 20.0, 44, depth=12.0)
    exact = mixture.log_density(centres(raster))
    near = exact > exact.max() - 6
    np.testing.assert_allclose(raster.values[near], exact[near], atol=0.1)
    # Tails end 10 nats below the peak, which cubic interpolation feels four samples away.
    np.testing.assert_allclose(raster.values[exact > exact.max() - 4], exact[exact > exact.max() - 4], atol=1e-3)
    doubled = raster.doubled()
    close = mixture.log_density(centres(doubled)) > exact.max() - 4
    np.testing.assert_allclose(doubled.values[close], mixture.log_density(centres(doubled))[close], atol=0.01)


def known():
    rng = np.random.default_rng(3)
    spread = np.stack([turned((s, 1.5 * s), s) for s in rng.uniform(8, 40, 40)])
    even = np.full(40, 1 / 40)
    two = np.stack([np.diag([1.0, 1.5]), np.diag([1.7, 1.0])])
    return {
        "gaussian": Mixture([[256.3, 200.1]], [turned((5.0, 8.0), 0.5)], [1.0], [1.0]),
        "narrow": Mixture([[256.3, 200.1]], [turned((1.0, 1.3), 0.5)], [1.0], [1.0]),
        "two narrow modes": Mixture([[230.3, 200.1], [300.0, 260.0]], two, [0.5, 0.5], [0.5, 0.5]),
        "a peak in a fog": Mixture([[256.0, 256.0], [240.0, 250.0]], [np.eye(2), 900 * np.eye(2)], [0.6, 0.4], [0.6, 0.4]),
        "spread": Mixture(rng.uniform(50, 450, (40, 2)), spread, even, even),
        "at an edge": Mixture([[20.0, 256.0]], [np.diag([900.0, 625.0])], [1.0], [1.0], BOX),
        "signed": many(),
    }  # fmt: skip


@pytest.mark.parametrize("name", known())
@pytest.mark.parametrize("window", [None, ((176.0, 120.0), 160.0, 386), ((0.0, 0.0), 512.0, 100)])
def test_regions_of_a_mixture_hold_their_share_of_its_draws(name, window):
    mixture = known()[name]
    raster = None if window is None else rasterise(mixture, *window)
    sets = level_sets(mixture, LEVELS, raster)
    drawn = mixture.log_density(mixture.draw(100_000, np.random.default_rng(1)))
    content = [(drawn >= threshold).mean() for threshold in sets.thresholds]
    np.testing.assert_allclose(content, LEVELS, atol=0.005)  # of which 0.003 is chance


@pytest.mark.parametrize("window", [None, ((176.0, 120.0), 160.0, 386), ((0.0, 0.0), 512.0, 386)])
def test_the_thresholds_of_a_gaussian_are_the_analytic_ones(window):
    # In two dimensions the region of level α is where log p is within -log(1 - α) nats of the peak. A raster that is no
    # deeper than what is drawn serves as well.
    mixture = known()["gaussian"]
    raster = None if window is None else rasterise(mixture, *window, depth=8.0)
    below = mixture.peak() - level_sets(mixture, LEVELS, raster).thresholds
    np.testing.assert_allclose(below, -np.log1p(-np.array(LEVELS)), rtol=0.01)


@pytest.mark.parametrize("pixels", [60, 120, 400])
def test_outlines_are_closed_around_what_they_hold_and_nothing_else(pixels):
    # Beyond its depth a raster has nothing, and interpolation there must not rise to a threshold again.
    gaussian = Mixture([[256.0, 256.0]], [np.diag([64.0, 64.0])], [1.0], [1.0])
    sets = level_sets(gaussian, (0.5, 0.995), rasterise(gaussian, (200.0, 200.0), 112.0, pixels, 8.0))
    away = np.linalg.norm(centres(sets.raster) - 256.0, axis=-1)
    for level, threshold in zip(sets.levels, sets.thresholds, strict=True):
        radius = 8.0 * np.sqrt(-2 * np.log1p(-level))
        assert away[sets.raster.values >= threshold].max() < 1.1 * radius
        assert away[sets.raster.values < threshold].min() > 0.9 * radius
