"""Densities are integrated over cells, however narrow they are, and wherever they lie."""

import time

import numpy as np
import pytest

from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.density.normal import quadrature
from dlscore.grid import Grid


def mixture_of(mean, covariance):
    count = len(mean)
    return Mixture(mean, covariance, np.full(count, 1 / count), np.full(count, 1 / count))


def random_mixture(count, narrow, broad, seed=0, middle=256.0):
    """Components with deviations from `narrow` to `broad` px in all directions."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, count)
    turn = np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), -1, 0)
    deviation = np.exp(rng.uniform(np.log(narrow), np.log(broad), (count, 2)))
    return mixture_of(rng.normal(middle, 60, (count, 2)), (turn * deviation[:, None] ** 2) @ turn.swapaxes(1, 2))


def brute_force(mixture, grid, parts):
    """(N, N) mean densities: every cell cut into parts² squares of 6² points each."""
    nodes, weights = quadrature(6)
    side = grid.cell / parts
    axis = (((np.arange(grid.resolution * parts) + 0.5) * side)[:, None] + nodes * side / 2).reshape(
        grid.resolution, -1
    )
    weights = np.tile(weights / 2 / parts, parts)
    total = np.zeros((grid.resolution, grid.resolution))
    for mean, covariance, weight in zip(mixture.mean, mixture.covariance, mixture.weight, strict=True):
        p, x = np.linalg.inv(covariance), axis - mean[0]
        for row in range(grid.resolution):
            y = (axis[row] - mean[1])[:, None, None]
            value = np.exp(-0.5 * (p[0, 0] * x**2 + 2 * p[0, 1] * x * y + p[1, 1] * y**2))
            total[row] += (
                weight * np.einsum("ynx,y,x->n", value, weights, weights) * np.sqrt(np.linalg.det(p)) / (2 * np.pi)
            )
    return total


@pytest.mark.parametrize(("narrow", "broad"), [(1, 1), (1, 30), (3, 8), (9.5, 10.5), (10.3, 10.3), (21, 40)])
def test_cells_match_brute_force_for_all_widths(narrow, broad):
    grid, mixture = Grid(50), random_mixture(6, narrow, broad)
    exact, found = brute_force(mixture, grid, 8 if narrow < 5 else 2), log_cell_density(mixture, grid)
    assert 0.5 * np.abs(np.exp(found) - exact).sum() * grid.cell_area < 1e-4
    high = exact > exact.max() * np.exp(-10)
    np.testing.assert_allclose(found[high], np.log(exact[high]), atol=0.01)


@pytest.mark.parametrize("resolution", [2, 4, 10, 50])
def test_a_narrow_mode_has_its_whole_mass_wherever_it_lies(resolution):
    grid = Grid(resolution)
    for offset in np.linspace(-0.45, 0.45, 7):
        mean = np.full((1, 2), grid.centres[1]) + offset * grid.cell
        masses = np.exp(log_cell_density(mixture_of(mean, np.eye(2)[None]), grid)) * grid.cell_area
        assert masses.sum() == pytest.approx(1, abs=1e-3)


def test_all_mass_of_a_narrow_component_is_in_its_cell():
    grid = Grid(16)
    mean, covariance = np.array([[grid.centres[3], grid.centres[12]]]), np.eye(2)[None] * (grid.cell / 10) ** 2
    logs = log_cell_density(mixture_of(mean, covariance), grid)
    assert (np.exp(logs) * grid.cell_area)[12, 3] == pytest.approx(1, abs=1e-3)
    assert np.isfinite(logs).all()


def test_far_from_every_component_cells_are_finite_and_fall_off():
    logs = log_cell_density(mixture_of(np.array([[-400.0, 256.0]]), np.eye(2)[None] * 4), Grid(50))
    assert np.isfinite(logs).all()
    assert (np.diff(logs[25]) < 0).all()


def test_blocks_and_tiles_change_nothing():
    # With many components the same density is cut into other tiles.
    one = random_mixture(5, 2, 60)
    many = mixture_of(np.repeat(one.mean, 3000, axis=0), np.repeat(one.covariance, 3000, axis=0))
    grid = Grid(40)
    first, second = log_cell_density(one, grid), log_cell_density(many, grid)
    near = first > first.max() - 30
    np.testing.assert_allclose(first[near], second[near], atol=1e-4)


def test_signed_weights_are_floored_in_every_cell():
    mean, covariance = np.array([[256.0, 256.0]] * 2), np.stack([np.eye(2) * 900, np.eye(2) * 400])
    mixture = Mixture(mean, covariance, [2.0, -1.0], [1.0, 0.0])
    grid = Grid(50)
    broad, narrow = (brute_force(mixture_of(mean[:1], each[None]), grid, 2) for each in covariance)
    expected = np.maximum(2 * broad - narrow, 0.02 * broad)
    assert (2 * broad - narrow < 0.02 * broad).any()
    np.testing.assert_allclose(np.exp(log_cell_density(mixture, grid)), expected, rtol=1e-3, atol=1e-12)


def test_six_hundred_components_take_milliseconds():
    mixture, grid = random_mixture(600, 2, 20), Grid(50)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        log_cell_density(mixture, grid)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.4  # 0.03 where nothing else runs
