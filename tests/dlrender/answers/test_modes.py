"""Modes of densities that are known: how many, where, with how much mass."""

import numpy as np
import pytest
from support.known import gaussian, mixture_of

from dlrender.answers.modes import find_modes
from dlscore.density.cells import log_cell_density
from dlscore.grid import Grid

GRID = Grid(64)


def modes_of(mixture, grid=GRID):
    return find_modes(log_cell_density(mixture, grid), grid)


def test_one_gaussian_is_one_mode_where_it_is():
    (mode,) = modes_of(gaussian([203.0, 331.0], 20))
    assert (mode.x, mode.y) == (pytest.approx(203, abs=0.3), pytest.approx(331, abs=0.3))
    assert mode.mass == pytest.approx(1, abs=2e-3)
    assert mode.prominence == pytest.approx(-np.log(1e-4), abs=0.3)  # of a Gaussian's peak over its 99.99 % region


def test_two_gaussians_far_apart_are_two_modes_with_their_masses():
    first, second = modes_of(mixture_of([(0.3, [100, 100], 20), (0.7, [400, 300], 30)]))
    assert (first.x, first.y, first.mass) == pytest.approx((400, 300, 0.7), abs=0.5)
    assert (second.x, second.y) == pytest.approx((100, 100), abs=0.5)
    assert second.mass == pytest.approx(0.3, abs=0.005)
    assert 7 < second.prominence < first.prominence < 10  # they do not meet within the 99.99 % region


@pytest.mark.parametrize(("distance", "count"), [(1.9, 1), (3.1, 1), (3.6, 2), (5.0, 2)])
def test_two_equal_gaussians_part_when_the_saddle_is_deep_enough(distance, count):
    # Equal Gaussians d deviations apart: the prominence d²/8 - ln 2 (less what each adds at the other's peak) is 0.7 at d = 3.3.
    half = distance * 25 / 2
    assert len(modes_of(mixture_of([(0.5, [256 - half, 256], 25), (0.5, [256 + half, 256], 25)]))) == count


def test_the_prominence_is_the_height_over_the_saddle():
    mixture = mixture_of([(0.55, [206, 256], 25), (0.45, [306, 256], 25)])
    _, lower = modes_of(mixture, Grid(128))
    line = mixture.log_density(np.stack([np.linspace(206, 306, 1001), np.full(1001, 256.0)], axis=-1))
    assert lower.x > 290
    assert lower.prominence == pytest.approx(line[500:].max() - line.min(), abs=0.05)


def test_a_basin_of_little_mass_is_no_mode():
    assert len(modes_of(mixture_of([(0.97, [150, 150], 20), (0.03, [400, 400], 20)]))) == 1
    assert len(modes_of(mixture_of([(0.93, [150, 150], 20), (0.07, [400, 400], 20)]))) == 2


def test_a_mode_on_the_border_of_the_grid_is_found():
    (mode,) = modes_of(gaussian([2.0, 256.0], 20))
    assert mode.x == pytest.approx(4, abs=4)


def test_a_ring_is_one_mode():
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = mixture_of([(1 / 24, [256 + 100 * np.cos(a), 256 + 100 * np.sin(a)], 25) for a in angles])
    assert len(modes_of(ring)) == 1
