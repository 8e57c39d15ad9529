"""An unknown name is answered with the nearest one, and with all of them where they are few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscore.common.choices import LISTED, check_choice, check_known, require, suggest
from dlscore.common.errors import UserError

MODES = ("actions", "states")
MANY = [f"policy-{k}" for k in range(LISTED + 1)]


class OptionError(UserError):
    pass


def test_what_exists_is_accepted():
    check_choice("--replay", "states", MODES, OptionError)
    check_known("overlay", "block", {"block": 1}, OptionError)
    require("--chunks", 3, "at least 1", True, OptionError)


def test_few_choices_are_listed():
    with pytest.raises(OptionError) as error:
        check_choice("--replay", "dreams", MODES, OptionError)
    assert str(error.value) == "invalid value 'dreams' for --replay; choose from actions, states"


def test_the_nearest_name_comes_first():
    with pytest.raises(OptionError, match=r"did you mean states\? choose from actions, states"):
        check_choice("--replay", "state", MODES, OptionError)
    assert (
        suggest("yelow", ["red", "yellow", "mellow"])
        == "did you mean yellow or mellow? choose from red, yellow, mellow"
    )


def test_many_choices_are_counted():
    assert suggest("vibes", MANY) == f"choose one of {LISTED + 1} names"
    assert suggest("vibes", MANY[:-1]) == f"choose from {', '.join(MANY[:-1])}"
    assert suggest("policy-20x", MANY).startswith("did you mean policy-20 or ")
    assert suggest("policy-20x", MANY).endswith(f"? choose one of {LISTED + 1} names")


def test_a_name_is_found_in_its_place():
    with pytest.raises(OptionError) as error:
        check_known("field", "stat", ("state", "time"), OptionError, "mine.toml")
    assert str(error.value) == "mine.toml: unknown field 'stat'; did you mean state? choose from state, time"
    with pytest.raises(OptionError, match=r"^unknown field 'stat'"):
        check_known("field", "stat", ("state", "time"), OptionError)


def test_a_condition_that_does_not_hold_is_put_into_words():
    with pytest.raises(OptionError) as error:
        require("--chunks", 0, "at least 1", False, OptionError)
    assert str(error.value) == "--chunks 0 is not allowed; it must be at least 1"


@given(st.text(), st.lists(st.text(), max_size=30))
def test_any_name_is_answered(name, known):
    assert suggest(name, known).endswith((f"choose from {', '.join(known)}", f"choose one of {len(known)} names"))
