"""Intervals: that they cover, are refused where they must be, and are Wilson's."""

import numpy as np
import pytest

from dlrender.answers.intervals import Interval, Z, bootstrap, student, wilson


def mean(totals):
    return totals[..., 0] / totals[..., 1]


def episodes_with_correlation(rng, episodes, steps=40, correlation=0.8, between=0.5):
    """(episodes, steps) of truth 0: autoregressive within an episode, and each episode with a level of its own."""
    values = np.empty((episodes, steps))
    values[:, 0] = rng.standard_normal(episodes)
    for k in range(1, steps):
        values[:, k] = correlation * values[:, k - 1] + np.sqrt(1 - correlation**2) * rng.standard_normal(episodes)
    return values + between * rng.standard_normal(episodes)[:, None]


@pytest.mark.parametrize(("episodes", "least"), [(5, 0.88), (20, 0.90)])
def test_intervals_cover_the_truth_when_steps_are_correlated(episodes, least):
    rng, held = np.random.default_rng(0), 0
    for seed in range(300):
        values = episodes_with_correlation(rng, episodes)
        found = bootstrap(np.stack([values.sum(axis=1), np.full(episodes, 40.0)], axis=1), mean, seed, 400)
        held += found.low <= 0 <= found.high
    assert least <= held / 300 <= 0.99


def test_steps_taken_for_independent_would_be_too_narrow():
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        values = episodes_with_correlation(rng, 20).ravel()
        held += abs(values.mean()) <= Z * values.std() / np.sqrt(len(values))
    assert held / 300 < 0.6


def test_fewer_than_five_episodes_have_no_interval():
    found = bootstrap(np.ones((4, 2)), mean)
    assert (found.value, found.low, found.high) == (1, None, None)
    assert str(found) == "1.00"


def test_wilson_is_wilsons():
    # Newcombe (1998), table I: 81 of 263 and 0 of 20.
    found = wilson(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    none = wilson(0, 20)
    assert (none.low, none.high) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(20, 20).high == 1


@pytest.mark.parametrize(("freedom", "quantile"), [(4, 2.776), (9, 2.262), (19, 2.093), (1000, 1.962)])
def test_students_quantile(freedom, quantile):
    assert student(Z, freedom) == pytest.approx(quantile, rel=0.01)


@pytest.mark.parametrize(
    ("interval", "text"),
    [(Interval(7.2345, 7.04, 7.42, 20), "7.23 [7.04, 7.42]"), (Interval(0.0523, 0.01, 0.02, 9), "0.052 [0.010, 0.020]"),
     (Interval(1234.5, 1000.0, 1500.0, 9), "1234 [1000, 1500]"), (Interval(6.5, None, None, 1), "6.50")],
)  # fmt: skip
def test_intervals_show_two_figures_of_their_width(interval, text):
    assert str(interval) == text
