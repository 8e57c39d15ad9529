"""The solver keeps constants, gives Gaussians of every width their deviation, and is DPM-Solver++ if it may not leave it."""

from unittest import mock

import numpy as np
import pytest

from dlscore.scores import solver
from dlscore.scores.solver import data_gain, data_variances, fit_solver

NOISE = (2.8, 1.4, 0.7, 0.35, 0.168, 0.0875)
FLOW = np.sqrt(data_variances() + np.square(NOISE)[:, None])  # deviations of the probability flow, exact


def fit(noise=NOISE, aims=FLOW, densities=3):
    return fit_solver(noise, tuple(map(tuple, aims)), densities)


def run(weights, variance, start, mean):
    """y at each level, of Gaussian data N(mean, variance)."""
    v, y, predictions = np.array(NOISE), [start], []
    for k, row in enumerate(weights):
        predictions.insert(0, mean + data_gain(variance, v[k]) * (y[-1] - mean))
        y.append(v[k + 1] / v[k] * y[-1] + sum(b * d for b, d in zip(row, predictions, strict=False)))
    return np.array(y)


def test_weights_keep_what_is_constant():
    for k, row in enumerate(fit()):
        assert len(row) == min(k + 1, solver.ORDER)
        assert row.sum() == pytest.approx(1 - NOISE[k + 1] / NOISE[k], abs=1e-12)
    np.testing.assert_allclose(run(fit(), 0.01, 5.0, 5.0), 5)  # a chunk at the mean stays there


@pytest.mark.parametrize("narrowing", [1.0, 0.9])
def test_deviations_come_out_as_they_shall_where_densities_are_made(narrowing):
    aims = np.vstack([FLOW[:1], np.sqrt(narrowing * data_variances() + np.square(NOISE[1:])[:, None])])
    weights = fit(aims=aims)
    for k, variance in enumerate(data_variances()):
        found = run(weights, variance, aims[0, k], 0.0)
        np.testing.assert_allclose(found[3:], aims[3:, k], rtol=0.03)


def test_without_leave_to_differ_it_is_dpm_solver():
    with mock.patch.object(solver, "RIDGE", 1e6):
        weights = fit_solver.__wrapped__(NOISE, tuple(map(tuple, FLOW)), 3)
    step = -np.diff(np.log(NOISE))  # Lu et al. 2022, algorithm 2: h of λ = log α/σ
    for k, row in enumerate(weights):
        expected = np.zeros(len(row))
        expected[0] = 1
        if k:
            ratio = step[k - 1] / step[k]
            expected[:2] += 1 / (2 * ratio), -1 / (2 * ratio)
        np.testing.assert_allclose(row, expected * (1 - np.exp(-step[k])), atol=1e-6)
    plain, chosen = (
        np.abs([run(each, s, FLOW[0, k], 0.0)[3:] / FLOW[3:, k] - 1 for k, s in enumerate(data_variances())]).max()
        for each in (weights, fit())
    )
    assert chosen < 0.6 * plain
