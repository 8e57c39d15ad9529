"""Narrow kernels of few chunks are widened where that makes the density more likely, and only there."""

import numpy as np
import pytest

from dlscore.certify.metrics import total_variation
from dlscore.density.cells import log_cell_density
from dlscore.grid import Grid
from dlscore.scores.multilevel import Level, join
from dlscore.scores.widen import widen

GRID = Grid(50)


def level_of(centres, spread, kernel, count=64, seed=0):
    rng = np.random.default_rng(seed)
    mean = np.asarray(centres)[np.arange(count) % len(centres)] + spread * rng.standard_normal((count, 2))
    return Level(mean, np.broadcast_to(kernel**2 * np.eye(2), (count, 2, 2)))


def moments(level):
    return level.mean.mean(axis=0), np.cov(level.mean.T) + level.covariance.mean(axis=0)


def masses(level):
    return np.exp(log_cell_density(join([level], None).mixture.normalised(), GRID)) * GRID.cell_area


def test_a_wide_density_of_narrow_kernels_comes_nearer_to_the_truth_and_keeps_its_moments():
    level = level_of([[256.0, 256.0]], spread=50, kernel=6)
    wider = widen(level)
    for before, after in zip(moments(level), moments(wider), strict=True):
        np.testing.assert_allclose(after, before)
    truth = masses(Level(np.full((4, 2), 256.0), np.broadcast_to((50**2 + 6**2) * np.eye(2), (4, 2, 2))))
    before, after = (total_variation(masses(each), truth) for each in (level, wider))
    assert before > 0.35
    assert after < 0.15


@pytest.mark.parametrize(("level", "why"), [
    (level_of([[100.0, 256.0], [400.0, 256.0]], spread=5, kernel=6), "modes far apart"),
    (level_of([[256.0, 256.0]], spread=5, kernel=6), "kernels wide enough"),
    (Level(np.full((64, 2), 256.0), np.broadcast_to(36 * np.eye(2), (64, 2, 2))), "chunks all the same"),
])  # fmt: skip
def test_what_needs_no_wider_kernels_stays(level, why):
    assert widen(level) is level or np.array_equal(widen(level).mean, level.mean), why
