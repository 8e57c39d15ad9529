"""Two noise levels are joined: the finer one corrects where it is right."""

import numpy as np

from dlscore.certify.metrics import total_variation
from dlscore.grid import Grid
from dlscore.scores import multilevel
from dlscore.scores.posterior import GaussianMixture


def test_the_correction_is_dropped_where_it_is_noise_and_kept_where_it_is_not():
    grid, rng = Grid(40), np.random.default_rng(0)

    def gaussians(centres, sigma):
        return GaussianMixture(centres[None], np.broadcast_to(np.eye(2) * sigma**2, (1, len(centres), 2, 2)))

    # Chunks in two narrow modes 60 px apart, blurred at the coarse level, and not at the fine one.
    modes = np.where(rng.random(256)[:, None] < 0.5, [220.0, 256.0], [280.0, 256.0])
    chosen = multilevel.choose(256, 64)
    coarse, fine = gaussians(0.5 * modes + 0.5 * np.array([250.0, 256.0]), 25), gaussians(modes[chosen], 12)
    truth = (
        np.exp(multilevel.log_cell_density(modes, np.broadcast_to(np.eye(2) * 144.0, (256, 2, 2)), grid))
        * grid.cell_area
    )
    joined = multilevel.join(coarse, fine, 0, grid)
    assert joined.level_difference > 0.2
    assert total_variation(np.exp(joined.log_density) * grid.cell_area, truth) < 0.1

    # One wide mode: the fine level of 64 chunks is nothing but rougher.
    centres = rng.normal(256, 60, (256, 2))
    coarse, fine = gaussians(centres, 35), gaussians(centres[chosen] + rng.normal(0, 30, (64, 2)), 18)
    joined = multilevel.join(coarse, fine, 0, grid)
    plain = multilevel.log_cell_density(coarse.mean[0], coarse.covariance[0], grid)
    assert joined.level_difference < 0.1
    assert total_variation(np.exp(joined.log_density), np.exp(plain)) * grid.cell_area < 0.05
    assert np.isfinite(joined.log_density).all()


def test_a_mixture_that_is_outside_the_grid_stays_finite():
    grid = Grid(20)

    def gaussians(centre, count, sigma):
        centres = np.random.default_rng(0).normal(centre, 5, (1, count, 2))
        return GaussianMixture(centres, np.broadcast_to(np.eye(2) * sigma**2, (1, count, 2, 2)))

    for near, far in ((-2000, -2000), (-70, -85), (560, 540)):
        joined = multilevel.join(gaussians(near, 64, 25), gaussians(far, 32, 12), 0, grid)
        assert np.isfinite(joined.log_density).all()
        assert np.exp(joined.log_density).sum() * grid.cell_area <= 1 + 1e-6
