"""Several mixtures at once against each alone."""

import numpy as np
import pytest

from dlscore.density.mixture import Mixture
from dlscore.density.together import log_densities, prepare_together

BOX = [[12.0, 12.0], [500.0, 490.0]]
COVARIANCE = np.array([[[400.0, 150], [150, 300]], [[900, -100], [-100, 900]]])


def test_mixtures_that_are_prepared_together_are_those_that_are_prepared_alone():
    places = ([[250.0, 260.0], [240.0, 250.0]], [[14.0, 20.0], [15.0, 30.0]], [[505.0, 260.0], [-30.0, 600.0]])
    together, alone = ([Mixture(mean, COVARIANCE, [0.4, 0.6], [0.5, 0.5], BOX) for mean in places] for _ in range(2))
    prepare_together(together)
    points = np.random.default_rng(0).uniform(12, 500, (200, 2))
    for one, other in zip(together, alone, strict=True):
        assert len(one.pieces.mean) == len(other.pieces.mean)
        np.testing.assert_allclose(one.log_density(points), other.log_density(points), atol=1e-5)


def test_a_mixture_that_was_read_before_keeps_its_pieces():
    one, other = (Mixture([[14.0, 20.0], [15.0, 30.0]], COVARIANCE, [0.4, 0.6], [0.5, 0.5], BOX) for _ in range(2))
    before = one.log_density(np.array([[20.0, 30.0]]))
    pieces = one.pieces
    prepare_together([one, other])
    assert one.pieces is pieces
    np.testing.assert_array_equal(one.log_density(np.array([[20.0, 30.0]])), before)


@pytest.mark.parametrize("box", [None, BOX])
def test_mixtures_of_different_sizes_have_at_their_own_points_the_densities_that_they_have_alone(box):
    rng = np.random.default_rng(0)
    mixtures = [
        Mixture(
            rng.uniform(50, 450, (n, 2)),
            np.tile(np.eye(2) * size, (n, 1, 1)),
            np.full(n, 1 / n),
            np.full(n, 1 / n),
            box,
        )
        for n, size in ((1, 4.0), (7, 400.0), (40, 30.0))
    ]
    points = rng.uniform(-20, 532, (3, 9, 2))  # some in far tails, some outside the box
    found = log_densities(mixtures, points)
    for values, mixture, own in zip(found, mixtures, points, strict=True):
        np.testing.assert_allclose(values, mixture.log_density(own), rtol=1e-6, atol=1e-5)
