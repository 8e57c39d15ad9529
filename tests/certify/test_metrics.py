"""Distances between densities, by hand."""

import numpy as np
import pytest

from dlscore.certify import analytic_policy, metrics, mixtures
from dlscore.certify.metrics import highest_density, total_variation
from dlscore.grid import Grid

GRID = Grid(50)
BY_NAME = {each.name: each for each in mixtures.MIXTURES}


def test_total_variation_counts_what_is_outside():
    p, q = np.array([[0.5, 0.5]]), np.array([[0.5, 0.25]])
    assert total_variation(p, q) == pytest.approx(0.25)
    assert total_variation(p, p[:, ::-1]) == 0
    assert total_variation(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1


def test_highest_density_region_takes_a_part_of_its_last_cell():
    masses = np.array([[0.5, 0.1], [0.3, 0.1]])
    np.testing.assert_allclose(highest_density(masses, 0.65), [[1, 0], [0.5, 0]])
    assert (masses * highest_density(masses, 0.85)).sum() == pytest.approx(0.85)


def test_a_missing_mode_is_not_found():
    mixture = BY_NAME["four unequal"]
    policy = analytic_policy.make_policy(mixture)
    truth = np.exp(mixture.log_masses(policy, GRID))
    less = truth * ~mixture.near(3, policy, GRID)
    assert metrics.find_modes(less, truth, mixture, policy, GRID) == 0.75
    assert metrics.find_modes(truth, truth, mixture, policy, GRID) == 1
