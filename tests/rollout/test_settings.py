"""Seeds and limits: what is understood, and what is refused in a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscore.rollout.settings import RolloutError, RolloutSettings, parse_seeds


def test_seeds_are_ranges_in_their_order():
    assert parse_seeds("7,0-3, 100 - 101") == (7, 0, 1, 2, 3, 100, 101)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1000), st.integers(0, 9)), min_size=1, max_size=5))
def test_what_is_written_is_what_is_read(ranges):
    text = ",".join(f"{first}-{first + more}" for first, more in ranges)
    assert parse_seeds(text) == tuple(seed for first, more in ranges for seed in range(first, first + more + 1))


@given(st.text(max_size=12))
def test_any_text_is_seeds_or_a_refusal(text):
    try:
        assert all(seed >= 0 for seed in parse_seeds(text))
    except RolloutError as error:
        assert "--seeds" in str(error)


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "is not understood"), ("3-", "is not understood"), ("all", "is not understood"), ("9-3", "write 3-9"),
     ("0-100000", "100001 seeds; 100000 are allowed")],
)  # fmt: skip
def test_what_is_no_seeds_is_refused(text, told):
    with pytest.raises(RolloutError, match=told):
        parse_seeds(text)


@pytest.mark.parametrize("options", [{"seeds": ()}, {"seeds": (1, 1)}, {"seeds": (2**32,)}, {"seeds": (1,), "environments": 0},
                                     {"seeds": (1,), "max_steps": 0}])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(options):
    with pytest.raises(RolloutError, match="is not allowed; it must be"):
        RolloutSettings(**options)


def test_batches_are_the_seeds_in_order():
    assert RolloutSettings((5, 6, 9, 1, 2), environments=2).batches == [(5, 6), (9, 1), (2,)]
