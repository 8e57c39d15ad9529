"""What is written is read back; what is damaged is one error."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.synthetic import frame, rewrite, write_cache

from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import json_or_text, parse_version, part_path


def test_what_is_written_is_read_back(cache):
    with open_cache(cache) as episode:
        assert episode.methods == ("distance", "likelihood")
        assert (episode.steps, episode.grid.resolution, episode.episode) == (6, 32, 0)
        np.testing.assert_allclose(episode.expert_action[0], [100, 400])
        np.testing.assert_array_equal(episode.frame(3), frame(episode.expert_action[3].astype(float)))
        assert episode.score_attrs("likelihood")["kind"] == "log_density"
        peak = np.unravel_index(episode.score("likelihood", 0).argmax(), (32, 32))
        np.testing.assert_allclose(episode.grid.centres[list(peak)], [400, 100], atol=8)  # [y, x]
    assert sorted(os.listdir(cache.parent)) == ["episode_000.h5"]


def read_all(path: Path) -> None:
    with open_cache(path) as episode:
        for k in range(episode.steps):
            episode.frame(k)
            [episode.score(method, k) for method in episode.methods]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_truncated_and_flipped_files_give_a_result_or_one_error(tmp_path, intact, data):
    blob = bytearray(intact)
    if data.draw(st.booleans(), "truncate"):
        blob = blob[: data.draw(st.integers(0, len(blob) - 1), "length")]
    else:
        for position in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=1, max_size=20), "flips"):
            blob[position] ^= 0xFF
    path = tmp_path / "episode_000.h5"
    path.write_bytes(bytes(blob))
    try:
        read_all(path)
    except CacheError as error:
        assert "\n" not in str(error)


def _nan(file):
    file["scores/likelihood"][2, 0, 0] = np.nan


def test_numbers_that_are_not_finite_are_named_though_their_checksum_is_right(cache):
    rewrite(cache, _nan)
    with pytest.raises(CacheError, match="non-finite"), open_cache(cache) as episode:
        [episode.score("likelihood", k) for k in range(episode.steps)]


def test_it_says_what_it_is(cache, tmp_path):
    opened = open_cache(cache)
    said = "<EpisodeCache: episode 0, 6 steps, methods distance, likelihood, policy synthetic"
    assert repr(opened) == f"{said}>"
    opened.close()
    assert repr(opened) == f"{said}, closed>"
    part = part_path(write_cache(tmp_path / "episode_001.h5", episode=1, methods=("distance",), finish=False))
    with open_cache(part, partial=True) as opened:
        assert repr(opened) == "<EpisodeCache: episode 1, 6 steps, 3 of them done, methods distance, policy synthetic>"


def test_it_is_read_and_closed_without_with(cache):
    opened = open_cache(cache)
    scores = opened.score("likelihood", 2)
    opened.close()
    opened.close()  # twice does no harm
    with open_cache(cache) as again:
        np.testing.assert_array_equal(again.score("likelihood", 2), scores)


@pytest.mark.parametrize(
    "read",
    [
        lambda cache: cache.score("likelihood", 0),
        lambda cache: cache.frame(0),
        lambda cache: cache.frame_index(0),
        lambda cache: cache.array("state"),
        lambda cache: cache.checks("likelihood"),
        lambda cache: cache.to_xarray(),
    ],
    ids=["score", "frame", "frame_index", "array", "checks", "to_xarray"],
)
def test_a_closed_cache_keeps_what_is_in_memory_and_reads_no_more(cache, read):
    with open_cache(cache) as opened:
        pass
    assert opened.expert_action.shape == (6, 2)
    assert opened.largest_drift() == {"agent_px": 0, "block_px": 0, "block_rad": 0}
    with pytest.raises(CacheError, match=r"episode_000\.h5 is closed; open it again with open_cache"):
        read(opened)


@pytest.mark.parametrize("step", [-1, 6, 10**12, np.int64(-1), np.int64(6)])
def test_a_step_that_is_not_there_is_named(cache, step):
    with open_cache(cache) as opened:
        for read in (opened.frame, lambda step: opened.score("distance", step)):
            with pytest.raises(CacheError, match=rf"step {step} is not in .*; it has steps 0 to 5"):
                read(step)


def test_a_name_that_is_not_there_is_answered_with_those_that_are(cache):
    with open_cache(cache) as opened:
        with pytest.raises(CacheError, match="unknown field 'stat'; did you mean state"):
            opened.array("stat")
        with pytest.raises(CacheError, match="no scores of method 'likelyhood'; did you mean likelihood"):
            opened.score("likelyhood", 0)
        with pytest.raises(CacheError, match="no scores of method 'vibes'; choose from distance, likelihood"):
            opened.checks("vibes")


def test_as_xarray_it_has_dimensions_coordinates_and_units(cache):
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with open_cache(cache) as opened, opened.to_xarray() as tree:
        scores = tree["scores/likelihood"]
        assert scores.dims == ("time", "y", "x")
        assert (scores.attrs["units"], tree["x"].attrs["units"]) == ("nats / px^2", "px")
        np.testing.assert_array_equal(tree["x"], opened.grid.centres)
        np.testing.assert_array_equal(tree["time"], opened.time)
        assert tree["expert_action"].dims == ("time", "xy")
        assert tree.attrs["policy"] == "synthetic"
        for step in range(opened.steps):
            np.testing.assert_array_equal(scores[step], opened.score("likelihood", step))


ATTRIBUTES = st.one_of(
    st.text(),
    st.text().map(lambda text: "{" + text),
    st.integers(-(2**31), 2**31),
    st.floats(),
    st.binary(max_size=9),
    st.lists(st.integers(0, 9)).map(np.array),
    st.floats(width=32).map(np.float32),
)


@given(ATTRIBUTES)
def test_any_attribute_is_json_a_number_or_text(value):
    found = json_or_text(value)
    assert isinstance(found, str | int | float | list | dict)
    if isinstance(value, str) and not value.startswith(("{", "[")):
        assert found == value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(
    st.text(), each), max_leaves=9).filter(lambda value: isinstance(value, list | dict)))  # fmt: skip
def test_lists_and_objects_in_attributes_are_what_they_were(value):
    assert json_or_text(json.dumps(value)) == value


@given(st.text(max_size=9))
def test_any_text_is_a_version_or_none(text):
    assert all(isinstance(part, int) for part in parse_version(text))


def test_versions_compare_as_numbers():
    assert parse_version("1.10") > parse_version("1.9") > parse_version("1")
    assert parse_version("one") == parse_version("") == parse_version("1.x") == ()
