"""Options that are texts: the list of episodes, and the map of names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscore.compute.prepare import parse_episodes, parse_rename_map
from dlscore.compute.settings import RequestError
from dlscore.episodes.episode import DatasetError


@given(st.sets(st.integers(0, 49), min_size=1))
def test_a_list_of_episodes_is_itself(chosen):
    assert parse_episodes(",".join(map(str, chosen)), 50) == sorted(chosen)


@given(st.integers(0, 49), st.integers(0, 49))
def test_a_range_has_both_ends(one, two):
    first, last = sorted((one, two))
    assert parse_episodes(f"{first}-{last}", 50) == list(range(first, last + 1))
    assert parse_episodes(f"{first}-", 50) == list(range(first, 50))


@given(st.text(alphabet="0123456789-, all٣", max_size=12))
def test_any_text_is_episodes_or_one_error(text):
    try:
        chosen = parse_episodes(text, 50)
    except DatasetError as error:
        assert "episode" in str(error)
    else:
        assert chosen == sorted(set(chosen))
        assert all(0 <= index < 50 for index in chosen)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7-3", "runs backwards"),
        ("999", "episode 999 is not in"),
        ("x", "is not understood"),
        ("-3", "is not understood"),
    ],
)
def test_what_is_no_list_of_episodes_is_named(text, words):
    with pytest.raises(DatasetError, match=words):
        parse_episodes(text, 50)


@given(st.dictionaries(st.text(), st.text()))
def test_a_map_of_names_is_itself(names):
    assert parse_rename_map(json.dumps(names)) == names


@given(st.one_of(st.text(), st.text(alphabet='{}[]":, ab1', max_size=12)))
def test_any_text_is_a_map_of_names_or_one_error(text):
    try:
        names = parse_rename_map(text)
    except RequestError as error:
        assert str(error).startswith("--rename-map ")
    else:
        assert all(isinstance(each, str) for item in names.items() for each in item)


def test_no_text_renames_nothing():
    assert parse_rename_map("") == {}
