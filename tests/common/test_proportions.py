"""Wilson's interval holds the proportions that a score test does not reject."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscore.common.proportions import NORMAL_95, wilson_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_its_ends_are_where_the_score_test_turns(counts):
    successes, trials = counts
    for end, open_ended in zip(wilson_interval(successes, trials), (successes == 0, successes == trials), strict=True):
        if not open_ended:
            deviation = abs(successes / trials - end) / math.sqrt(end * (1 - end) / trials)
            assert deviation == pytest.approx(NORMAL_95, rel=1e-6)


def test_without_a_success_it_has_a_width_still():
    assert wilson_interval(0, 10) == pytest.approx((0, 0.27753), abs=1e-5)  # z² / (n + z²)
    assert wilson_interval(10, 10) == pytest.approx((0.72247, 1), abs=1e-5)
    assert wilson_interval(0, 0) == (0, 1)
