"""Densities are integrated over cells, however narrow they are."""

import numpy as np
import pytest

from dlscore.grid import Grid
from dlscore.scores import multilevel


@pytest.mark.parametrize("resolution", [2, 4, 10])
def test_cells_are_integrated_wherever_a_narrow_mode_lies(resolution):
    grid = Grid(resolution)
    for offset in np.linspace(-0.45, 0.45, 7):
        mean = np.full((1, 2), grid.centres[1]) + offset * grid.cell
        masses = np.exp(multilevel.log_cell_density(mean, np.eye(2)[None] * 4.0, grid)) * grid.cell_area
        assert masses.sum() == pytest.approx(1, abs=0.01)


def test_cells_are_integrated():
    # One component a tenth of a cell wide, in the middle of a cell: all its mass is in that cell.
    grid = Grid(16)
    mean, covariance = np.array([[grid.centres[3], grid.centres[12]]]), np.eye(2)[None] * (grid.cell / 10) ** 2
    mass = np.exp(multilevel.log_cell_density(mean, covariance, grid)) * grid.cell_area
    assert mass[12, 3] == pytest.approx(1, abs=1e-3)
    assert np.isfinite(multilevel.log_cell_density(mean, covariance, grid)).all()


def test_cells_of_a_correlated_component_match_fine_sampling():
    grid, fine = Grid(16), 32
    mean, covariance = np.array([[250.0, 270.0]]), np.array([[[400.0, 300.0], [300.0, 500.0]]])
    away = Grid(16 * fine).actions - mean[0]
    power = np.einsum("yxi,ij,yxj->yx", away, np.linalg.inv(covariance[0]), away)
    expected = np.exp(-0.5 * power) / (2 * np.pi * np.sqrt(np.linalg.det(covariance[0])))
    expected = expected.reshape(16, fine, 16, fine).mean(axis=(1, 3))
    found = np.exp(multilevel.log_cell_density(mean, covariance, grid))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=5e-9)
