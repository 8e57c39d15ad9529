"""Noise levels mean the same under any schedule."""

import numpy as np
import pytest

from dlscore.certify import analytic_policy, mixtures
from dlscore.scores.base import ScorerError
from dlscore.scores.levels import NEAR, find_levels

ONE = mixtures.gaussians("", [[0.0, 0.0]], 0.1)
WANTED = [2.8, 1.4, 0.7, 0.35, 0.168, 0.0875]  # 3 steps to 0.35, then 0.48 and 0.25 of it


def everything(policy):
    return tuple(range(len(policy.alphas_cumprod)))


@pytest.mark.parametrize(("schedule", "near"), [("cosine", 0.06), ("cosine-50", 0.2), ("cosine-1000", 0.03),
                                                ("sigmoid-1000", 0.03), ("linear-1000", 0.05)])  # fmt: skip
def test_nodes_fall_and_are_near_the_wanted_levels(schedule, near):
    policy = analytic_policy.make_policy(ONE, schedule)
    noise = policy.levels
    levels = find_levels(policy, everything(policy), 3, 0.35, 3)
    assert levels.densities == 3
    assert (np.diff(levels.nodes) < 0).all()
    np.testing.assert_allclose(np.log(noise[list(levels.nodes)]), np.log(WANTED), atol=near)
    assert levels.pilot >= levels.nodes[0]
    assert noise[levels.pilot] == pytest.approx(5.3, rel=near + 0.1)
    for t in (0, levels.pilot):
        alpha, sigma = policy.noise_level(t)
        assert noise[t] == pytest.approx(sigma / alpha)


def test_preferred_timesteps_are_taken_where_they_are_near():
    policy = analytic_policy.make_policy(ONE)
    noise, every_fourth = policy.levels, tuple(range(0, 100, 4))
    nodes = find_levels(policy, every_fourth, 3, 0.35, 3).nodes
    for t, wanted in zip(nodes, WANTED, strict=True):
        nearest = np.abs(np.log(noise[list(every_fourth)] / wanted)).min()
        assert (t in every_fourth) == (nearest <= NEAR)
    assert np.abs(np.log(noise[list(nodes)] / WANTED)).max() <= NEAR


@pytest.mark.parametrize(("schedule", "steps", "level", "last"), [
    ("cosine", 3, 0.35, 0.042), ("cosine-1000", 3, 0.35, 0.042), ("cosine", 5, 0.25, 0.042),  # 0.03 has no noise to come
    ("cosine-1000", 5, 0.25, 0.03), ("cosine-50", 3, 0.35, 0.0739), ("cosine-20", 3, 0.35, 0.169),
])  # fmt: skip
def test_distrusted_slopes_are_used_at_the_finest_level_after_which_noise_is_added(schedule, steps, level, last):
    policy = analytic_policy.make_policy(ONE, schedule)
    noise = policy.levels
    levels = find_levels(policy, everything(policy), steps, level, 2)
    assert (np.diff(levels.distrusted) < 0).all()
    assert noise[levels.distrusted[-1]] == pytest.approx(last, rel=0.05)


@pytest.mark.parametrize(("level", "densities", "nodes", "first"), [
    (0.35, 2, 7, 2.8), (0.35, 3, 8, 4.0), (0.2, 2, 7, 2.0)])  # fmt: skip
def test_distrusted_slopes_have_even_steps_and_one_more_where_a_third_density_would_be(level, densities, nodes, first):
    policy = analytic_policy.make_policy(ONE, "cosine-1000")
    distrusted = find_levels(policy, everything(policy), 3, level, densities).distrusted
    even = np.geomspace(first, 0.12 * level, nodes)
    np.testing.assert_allclose(policy.levels[list(distrusted)], even, rtol=0.03)


def test_two_densities_need_one_finer_level_and_a_lower_one_more_steps():
    policy = analytic_policy.make_policy(ONE, "cosine-1000")
    noise = policy.levels
    assert len(find_levels(policy, everything(policy), 3, 0.35, 2).nodes) == 5
    nodes = find_levels(policy, everything(policy), 5, 0.25, 3).nodes
    assert len(nodes) == 8
    assert noise[nodes[0]] == pytest.approx(8, rel=0.05)
    # It never starts below 2, however few the steps.
    assert noise[find_levels(policy, everything(policy), 1, 0.35, 3).nodes[0]] == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("schedule", ["linear", "sigmoid", "cosine-20", "laplace"])
def test_what_a_schedule_cannot_do_is_refused(schedule):
    policy = analytic_policy.make_policy(ONE, schedule)
    if schedule == "cosine-20":  # the finest level is there, and a tenth of it is not
        find_levels(policy, everything(policy), 3, 0.35, 3)
        with pytest.raises(ScorerError, match="too coarse"):
            find_levels(policy, everything(policy), 3, 0.05, 3)
    else:
        with pytest.raises(ScorerError, match="too coarse" if schedule == "laplace" else "where the data still show"):
            find_levels(policy, everything(policy), 3, 0.35, 3)
