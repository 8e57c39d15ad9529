"""What lies beyond the edges of a box lies on them, as in a policy that clips its actions."""

import numpy as np
import pytest

from dlscore.density.cells import log_cell_density
from dlscore.density.censoring import EDGE, INNER, INSIDE
from dlscore.density.mixture import Mixture
from dlscore.density.normal import normal_between, normal_cdf, normal_density
from dlscore.grid import Grid

GRID = Grid(50)
WIDE, SMALL = [[12.0, 12.0], [511.0, 500.0]], [[200.0, 175.0], [327.0, 399.0]]


def masses(mixture, grid=GRID):
    return np.exp(log_cell_density(mixture, grid)) * grid.cell_area


def clipped_histogram(mean, covariance, box, count=1_000_000, seed=0):
    """(N, N) shares of clipped draws; an edge belongs to the cell inside it."""
    drawn = np.random.default_rng(seed).multivariate_normal(mean, covariance, count)
    x, y = np.clip(drawn, box[0], np.array(box[1]) - 1e-9).T
    return np.histogram2d(y, x, bins=GRID.resolution, range=[[0, 512]] * 2)[0] / count


@pytest.mark.parametrize(
    ("mean", "covariance", "box"),
    [
        ([30, 250], [[900, 500], [500, 900]], WIDE),
        ([5, 250], [[900, -800], [-800, 900]], WIDE),
        ([20, 20], [[900, 700], [700, 900]], WIDE),
        ([20, 490], [[2500, 700], [700, 900]], WIDE),
        ([520, 250], [[400, 0], [0, 900]], WIDE),
        ([-50, 250], [[400, 100], [100, 400]], WIDE),
        ([-50, 550], [[4000, 1000], [1000, 4000]], WIDE),
        ([260, 300], [[9000, -3000], [-3000, 4000]], SMALL),
        ([330, 170], [[400, -300], [-300, 400]], SMALL),
    ],
)
def test_a_gaussian_clipped_to_a_box_is_the_histogram_of_clipped_draws(mean, covariance, box):
    expected = clipped_histogram(mean, covariance, box)
    found = masses(Mixture([mean], [covariance], [1.0], [1.0], box))
    noise = 0.4 * np.sqrt(found / 1_000_000).sum()  # ½ E|N(0, p/n)|, summed
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert 0.5 * np.abs(found - expected).sum() < 0.01 + noise


def test_one_edge_has_the_mass_beyond_it_exactly():
    # x ~ N(40, 20²) and an edge at 20.4: a standard deviation of 0.98.
    mixture = Mixture([[40.0, 250.0]], [np.diag([400.0, 100.0])], [1.0], [1.0], [[20.4, 0.0], [512.0, 512.0]])
    edge = masses(mixture, Grid(512))[:, 20:25].sum()  # the narrow Gaussian, and the density beside it
    expected = normal_cdf(np.array(-0.98)) + normal_between(*np.array([[40.0], [20.0], [20.4], [25.0]]))[0]
    assert edge == pytest.approx(expected, abs=1e-3)


def test_a_box_that_no_component_reaches_changes_nothing():
    mixture = Mixture([[250.0, 260.0]], [np.eye(2) * 400], [1.0], [1.0])
    boxed = Mixture([[250.0, 260.0]], [np.eye(2) * 400], [1.0], [1.0], [[12.0, 12.0], [500.0, 500.0]])
    assert len(boxed.pieces.mean) == 1
    inside = (slice(2, 47), slice(2, 47))
    np.testing.assert_allclose(
        log_cell_density(boxed, GRID)[inside], log_cell_density(mixture, GRID)[inside], atol=1e-6
    )


def test_signed_weights_keep_their_mass_in_the_corners():
    mean = np.array([[20.0, 20.0], [15.0, 25.0], [22.0, 16.0]])
    mixture = Mixture(mean, np.stack([np.eye(2) * 400] * 3), [1.0, -0.5, 0.5], [1.0, 0.0, 0.0], WIDE)
    assert masses(mixture).sum() == pytest.approx(1, abs=1e-4)


def test_the_normal_distribution():
    from math import erf

    z = np.linspace(-8, 8, 101)
    np.testing.assert_allclose(normal_cdf(z), [(1 + erf(each / 2**0.5)) / 2 for each in z], atol=1e-7)
    np.testing.assert_array_equal(normal_cdf(np.array([-np.inf, np.inf])), [0, 1])


def test_components_of_one_place_and_other_widths_stay_apart_on_an_edge():
    # Half of each is beyond the left edge; along it the two have deviations of 5 and 40 px.
    covariance = [np.diag([25.0, 25.0]), np.diag([1600.0, 1600.0])]
    mixture = Mixture([[12.0, 250.0]] * 2, covariance, [0.5, 0.5], [0.5, 0.5], WIDE)
    beside, beyond = mixture.log_density(np.array([[12.5, 250.0], [12.5, 310.0]]))
    deviation = np.array([5.0, 40.0])
    edge = 0.5 * normal_density((0.5 - INSIDE) / EDGE) / EDGE / INNER
    across = edge + normal_density(0.5 / deviation) / deviation
    near, far = (float((across * normal_density(away / deviation) / deviation).sum()) for away in (0, 60))
    assert beside - beyond == pytest.approx(np.log(near / far), abs=1e-3)
