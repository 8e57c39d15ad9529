"""The noise, the timesteps and the solver of `likelihood`."""

import numpy as np
import pytest

from dlscore.certify import analytic_policy, mixtures
from dlscore.scores import sampling
from dlscore.scores.base import ScorerError

BY_NAME = {each.name: each for each in mixtures.MIXTURES}


def test_a_schedule_that_the_solver_does_not_know_is_handed_over():
    policy = analytic_policy.make_policy(BY_NAME["one"], beta_schedule="sigmoid")
    solver = sampling.fast_solver(policy, [*sampling.nodes(policy, 6, 10), 4])
    np.testing.assert_allclose(solver.alphas_cumprod, policy.alphas_cumprod, rtol=1e-5)


def test_sobol_noise_is_standard_normal_and_repeatable():
    noise = sampling.sobol_noise(1024, 16, 1, seed=3)
    np.testing.assert_array_equal(noise, sampling.sobol_noise(1024, 16, 1, seed=3))
    assert not np.array_equal(noise, sampling.sobol_noise(1024, 16, 1, seed=4))
    flat = noise.reshape(1024, 32)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(flat.T), np.eye(32), atol=0.2)


@pytest.mark.parametrize(("horizon", "current"), [(16, 1), (64, 0), (8, 3)])
def test_the_noise_has_orthonormal_directions_and_the_current_action_comes_first(horizon, current):
    directions = sampling._directions(horizon, current)
    np.testing.assert_allclose(directions.T @ directions, np.eye(horizon), atol=1e-12)
    assert np.abs(directions[:, 0]).argmax() == current


def test_nodes_descend_to_the_last_timestep(policy):
    for steps, last in ((6, 10), (7, 8), (9, 4), (2, 30), (12, 3)):
        nodes = sampling.nodes(policy, steps, last)
        assert len(nodes) == steps + 1
        assert nodes[:2] == [96, 87]
        assert nodes[-1] == last
        assert all(np.diff(nodes) < 0)


def test_a_timestep_beyond_the_schedule_is_refused(policy):
    with pytest.raises(ScorerError, match="do not fit between timesteps 87 and 95"):
        sampling.nodes(policy, 7, 95)
