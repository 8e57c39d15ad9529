"""A signed, floored, clipped mixture: its density, its draws, and what is refused."""

import numpy as np
import pytest

from dlscore.density.mixture import FLOOR, ZERO, DensityError, Mixture

NARROW, BROAD = np.eye(2) * 9.0, np.array([[900.0, 300.0], [300.0, 400.0]])


def normal(points, mean, covariance):
    away = points - np.asarray(mean)
    power = np.einsum("...i,ij,...j->...", away, np.linalg.inv(covariance), away)
    return np.exp(-0.5 * power) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))


def signed():
    """A broad Gaussian, with a part of it replaced by a narrow one beside it: far from the peak the sum is negative."""
    mean = np.array([[200.0, 300.0], [200.0, 300.0], [210.0, 290.0]])
    return Mixture(mean, np.stack([BROAD, BROAD / 2, NARROW]), [1.0, -0.8, 0.8], [1.0, 0.0, 0.0])


def points_around(mixture, count=4000, seed=0):
    rng = np.random.default_rng(seed)
    return mixture.mean[0] + 60 * rng.standard_normal((count, 2))


def test_one_gaussian_has_its_density_and_peak():
    mixture, points = Mixture([[100.0, 80.0]], [BROAD], [1.0], [1.0]), np.array([[[90.0, 70.0], [300.0, 400.0]]])
    np.testing.assert_allclose(mixture.log_density(points), np.log(normal(points, [100, 80], BROAD)), rtol=1e-6)
    assert mixture.peak() == pytest.approx(-np.log(2 * np.pi * np.sqrt(np.linalg.det(BROAD))), abs=1e-5)
    assert mixture.log_density(points[0, 0]).shape == ()


def test_a_signed_sum_is_floored_at_a_part_of_the_coarse_density():
    mixture = signed()
    points = points_around(mixture)
    coarse, half, fine = (normal(points, m, c) for m, c in zip(mixture.mean, mixture.covariance, strict=True))
    total = coarse - 0.8 * half + 0.8 * fine
    expected = np.maximum(total, FLOOR * coarse)
    assert (total < FLOOR * coarse).any()  # otherwise the test shows nothing
    np.testing.assert_allclose(mixture.log_density(points), np.log(expected), atol=1e-4)


def test_the_floored_density_integrates_to_one():
    mixture = signed().normalised()
    assert mixture.log_norm < 0
    axis = np.arange(-100, 600) + 0.5
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    assert np.exp(mixture.log_density(points)).sum() == pytest.approx(1, abs=2e-3)
    assert Mixture([[0.0, 0.0]], [BROAD], [1.0], [1.0]).normalised().log_norm == 0


def test_padding_changes_nothing_but_the_number_of_components():
    mixture, points = signed(), points_around(signed())
    padded = mixture.padded(8)
    assert len(padded.weight) == 8
    np.testing.assert_array_equal(padded.mean[3:], np.repeat(mixture.mean[2:], 5, axis=0))
    np.testing.assert_allclose(padded.log_density(points), mixture.log_density(points), atol=1e-5)
    np.testing.assert_array_equal(mixture.padded(3).mean, mixture.mean)


def test_draws_have_the_density():
    # Equal in all directions: E over draws of the indicator of disks around the narrow mode is the integral of the density.
    mixture = signed().normalised()
    drawn = mixture.draw(40_000, np.random.default_rng(1))
    assert drawn.shape == (40_000, 2)
    axis = np.arange(-100, 600) + 0.5
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    mass = np.exp(mixture.log_density(points))
    for radius in (4, 10, 30, 60):
        expected = mass[np.hypot(*np.moveaxis(points - mixture.mean[2], -1, 0)) < radius].sum()
        share = (np.hypot(*(drawn - mixture.mean[2]).T) < radius).mean()
        assert share == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 40_000))
    np.testing.assert_array_equal(drawn, mixture.draw(40_000, np.random.default_rng(1)))


def test_far_away_the_log_density_is_finite_and_outside_the_box_it_is_zero():
    mixture = signed()
    assert np.isfinite(mixture.log_density(np.array([[1e5, -1e5]]))).all()
    box = [[12.0, 12.0], [500.0, 500.0]]
    clipped = Mixture(mixture.mean, mixture.covariance, mixture.weight, mixture.base, box)
    assert clipped.log_density(np.array([[5.0, 300.0]])) == [ZERO]
    assert (clipped.draw(500, np.random.default_rng(0)) >= 12).all()


def test_means_beyond_the_box_are_legal():
    mixture = Mixture([[-90.0, 700.0]], [NARROW], [1.0], [1.0], [[12.0, 12.0], [500.0, 500.0]])
    drawn = mixture.draw(100, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(axis=0), [14, 498], atol=0.5)
    assert np.isfinite(mixture.peak())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean": [[1.0, 2.0, 3.0]]}, r"mixture's mean of shape \(1, 3\) is not allowed; it must be \(1, 2\)"),
        ({"mean": [[np.nan, 2.0]]}, "mixture's mean"),
        ({"covariance": [[[1.0, 2.0], [2.0, 1.0]]]}, "symmetric and positive definite"),
        ({"covariance": [[[1.0, 0.5], [0.2, 1.0]]]}, "symmetric and positive definite"),
        ({"weight": [0.5]}, "sum of weight 0.5 is not allowed; it must be 1"),
        ({"base": [0.0]}, "sum of base 0 is not allowed"),
        ({"box": [[5.0, 5.0], [5.0, 9.0]]}, "xmin"),
        ({"log_norm": np.inf}, "log_norm inf"),
    ],
)
def test_what_is_no_density_is_refused(changed, message):
    good = {"mean": [[1.0, 2.0]], "covariance": [np.eye(2)], "weight": [1.0], "base": [1.0]}
    with pytest.raises(DensityError, match=message):
        Mixture(**good | changed)


def test_a_negative_base_is_refused():
    with pytest.raises(DensityError, match="smallest base -1"):
        Mixture(np.zeros((2, 2)), np.stack([np.eye(2)] * 2), [0.5, 0.5], [2.0, -1.0])
