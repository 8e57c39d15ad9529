"""Highest-density regions of the whole mass, and ranks, of densities that are known."""

import numpy as np
import pytest

from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.density.regions import hdr_ranks, mass_inside, regions
from dlscore.grid import Grid

GRID, LEVELS = Grid(50), (0.5, 0.8, 0.95)


def gaussian(x, deviation=60.0):
    return Mixture([[x, 256.0]], [np.diag([deviation**2, 25.0**2])], [1.0], [1.0])


# A Gaussian whose mean is z deviations from the left edge has Φ(z) of its mass on the grid.
@pytest.mark.parametrize(("x", "inside"), [(256.0, 1.0), (46.33, 0.78), (7.54, 0.55)])
def test_regions_hold_their_level_of_the_whole_mass(x, inside):
    logs = log_cell_density(gaussian(x), GRID)
    assert mass_inside(logs, GRID.cell_area) == pytest.approx(inside, abs=0.001)
    masses = np.exp(logs) * GRID.cell_area
    for region in regions(logs, GRID.cell_area, LEVELS):
        assert region.fits == (region.level < inside)
        content = masses[logs >= region.threshold].sum()
        assert content == pytest.approx(region.level if region.fits else inside, abs=0.01)


def test_the_threshold_of_a_gaussian_is_the_analytic_one():
    # In two dimensions the region of level α is where log p is within -log(1 - α) nats of the peak.
    mixture, grid = gaussian(256.0, 40.0), Grid(200)
    logs = log_cell_density(mixture, grid)
    for region in regions(logs, grid.cell_area, LEVELS):
        assert mixture.peak() - region.threshold == pytest.approx(-np.log(1 - region.level), abs=0.02)


def test_ranks_of_a_gaussian_are_the_analytic_ones_and_uniform_for_its_own_draws():
    mixture, rng = gaussian(256.0), np.random.default_rng(0)
    radii = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
    points = mixture.mean + np.stack([60.0 * radii, 0 * radii], axis=-1)
    ranks = hdr_ranks(mixture, points, rng, draws=20_000)
    np.testing.assert_allclose(ranks.randomised, 1 - np.exp(-(radii**2) / 2), atol=0.01)
    own = hdr_ranks(mixture, mixture.draw(5_000, rng), rng)
    assert own.randomised.mean() == pytest.approx(0.5, abs=0.03)
    assert ((own.low <= own.randomised) & (own.randomised <= own.high)).all()
    assert (own.randomised <= 0.8).mean() == pytest.approx(0.8, abs=0.04)


def test_ranks_of_clipped_actions_are_uniform_too():
    box, rng = np.array([[12.0, 12.0], [511.0, 511.0]]), np.random.default_rng(0)
    mixture = Mixture([[20.0, 256.0]], [np.diag([30.0**2, 25.0**2])], [1.0], [1.0], box)
    actions = np.clip(rng.multivariate_normal(mixture.mean[0], mixture.covariance[0], 5_000), *box)
    assert (actions[:, 0] == 12).mean() > 0.35
    ranks = hdr_ranks(mixture, actions, rng, draws=5_000).randomised
    for level in (0.1, 0.3, *LEVELS):
        assert (ranks <= level).mean() == pytest.approx(level, abs=0.025)
