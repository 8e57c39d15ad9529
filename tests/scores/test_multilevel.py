"""Levels are joined: a finer one corrects where it is right, and nowhere else."""

import numpy as np
import pytest

from dlscore.certify.metrics import total_variation
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.grid import Grid
from dlscore.scores.multilevel import HALVES, Level, even_weights, join

GRID = Grid(40)


def gaussians(centres, sigma):
    return Level(centres, np.broadcast_to(np.eye(2) * sigma**2, (len(centres), 2, 2)))


def masses(mixture):
    return np.exp(log_cell_density(mixture, GRID)) * GRID.cell_area


def plain(level):
    even = np.full(len(level.mean), 1 / len(level.mean))
    return masses(Mixture(level.mean, level.covariance, even, even))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_correction_is_kept_where_it_is_no_noise(rng):
    # Chunks in two narrow modes 60 px apart, blurred at the coarse level, and not at the fine one.
    modes = np.where(np.arange(256)[:, None] % 2, [220.0, 256.0], [280.0, 256.0])
    coarse, fine = gaussians(0.5 * modes + 0.5 * np.array([250.0, 256.0]), 25), gaussians(modes[:64], 12)
    joined = join([coarse, fine], None)
    assert joined.shares[0] > 0.9
    assert joined.weights[0] == 1
    truth = plain(gaussians(modes, 12))
    assert total_variation(masses(joined.mixture), truth) < 0.05 < total_variation(plain(coarse), truth)


def test_a_correction_is_dropped_where_it_is_noise(rng):
    # One wide mode: the fine level of 64 chunks is nothing but rougher.
    centres = rng.normal(256, 60, (256, 2))
    coarse, fine = gaussians(centres, 35), gaussians(centres[:64] + rng.normal(0, 30, (64, 2)), 18)
    joined = join([coarse, fine], None)
    assert joined.shares[0] < 0.5
    assert joined.weights[0] < 0.5
    assert total_variation(masses(joined.mixture), plain(coarse)) < 0.05
    assert np.isfinite(log_cell_density(joined.mixture, GRID)).all()


def test_each_correction_has_a_weight_of_its_own():
    modes = np.where(np.arange(256)[:, None] % 2, [220.0, 256.0], [280.0, 256.0])
    rng = np.random.default_rng(1)
    coarse, fine = gaussians(0.5 * modes + 0.5 * np.array([250.0, 256.0]), 25), gaussians(modes, 12)
    finest = gaussians(modes[:32] + rng.normal(0, 8, (32, 2)), 9)
    one, two = join([coarse, fine, finest], None).weights
    assert one == 1
    assert two < 0.5


def test_weights_sum_to_one_and_say_which_component_is_whose():
    rng = np.random.default_rng(2)
    centres = rng.normal(256, 60, (64, 2))
    levels = [gaussians(centres, 30), gaussians(centres, 15), gaussians(centres[:16], 8)]
    box = np.array([[0.0, 0.0], [512.0, 512.0]])
    joined = join(levels, box)
    mixture = joined.mixture
    assert len(mixture.weight) == 64 + 64 + 16
    np.testing.assert_array_equal(mixture.box, box)
    assert mixture.weight.sum() == pytest.approx(1)
    np.testing.assert_array_equal(mixture.base, np.repeat([1 / 64, 0.0], [64, 80]))
    np.testing.assert_allclose(joined.differences.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(mixture.weight, mixture.base + joined.weights @ joined.differences)
    np.testing.assert_allclose(joined.differences[1, 64:], np.repeat([-1 / 16, 0.0, 1 / 16], [16, 48, 16]))
    assert joined.halves.shape == (len(HALVES), 2, 144)
    np.testing.assert_allclose(joined.halves.sum(axis=2), 1)
    np.testing.assert_allclose(joined.halves[0, 1], np.repeat([1 / 32, 0.0], [32, 112]))
    for one, other in joined.halves.reshape(-1, 2, 2, 144):  # two halves make the whole
        np.testing.assert_allclose((one + other) / 2, [mixture.weight, mixture.base], atol=1e-12)


def test_chunks_count_by_their_weights_at_every_level():
    modes = np.where(np.arange(64)[:, None] % 2, [220.0, 256.0], [280.0, 256.0])
    left = np.arange(64) % 2 == 1
    chunks = even_weights(64) * np.where(left, 3, 1)
    chunks /= chunks.sum(axis=1, keepdims=True)
    levels = [gaussians(0.5 * modes + 125, 25), gaussians(modes, 12), gaussians(modes[:16], 10)]
    joined = join(levels, None, chunks)
    weight = joined.mixture.weight
    assert weight.sum() == pytest.approx(1)
    of_left = np.concatenate([left, left, left[:16]])
    for row in (joined.mixture.base, weight, *joined.halves.reshape(-1, len(weight))):
        assert row[of_left].sum() == pytest.approx(0.75)


def test_one_level_is_itself():
    level = gaussians(np.random.default_rng(3).normal(256, 60, (16, 2)), 30)
    joined = join([level], None)
    assert joined.shares.shape == joined.weights.shape == (0,)
    np.testing.assert_array_equal(joined.mixture.weight, np.full(16, 1 / 16))


def test_a_mixture_that_is_outside_the_grid_stays_finite():
    rng = np.random.default_rng(0)
    for near, far in ((-2000, -2000), (-70, -85), (560, 540)):
        joined = join([gaussians(rng.normal(near, 5, (64, 2)), 25), gaussians(rng.normal(far, 5, (32, 2)), 12)], None)
        assert np.isfinite(log_cell_density(joined.mixture, GRID)).all()
        assert masses(joined.mixture).sum() <= 1 + 1e-6
