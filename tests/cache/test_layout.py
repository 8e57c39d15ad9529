"""A file that is no cache, or a damaged one, is named before anything in it is trusted."""

import numpy as np
import pytest
from support.synthetic import tamper

from dlscore.cache import checksums
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache


def _retype(file):
    del file["state"]
    file["state"] = np.zeros((6, 5), dtype="f4")


def _reshape(file):
    del file["expert_action"]
    file["expert_action"] = np.zeros((5, 2), dtype="f4")


def _nan(file):
    file["scores/likelihood"][2, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.attrs.__setitem__("schema", "other"), "not a dlscore cache"),
        (lambda file: file.attrs.__setitem__("schema_version", "2.0"), "has schema 2.0"),
        (lambda file: file.__delitem__("drift"), "no dataset 'drift'"),
        (lambda file: file.__delitem__("scores"), "no group 'scores'"),
        (lambda file: file["x"].__setitem__(3, 7.0), "'x' is not the grid"),
        (_retype, "'state' is float32"),
        (_reshape, "'expert_action' has 5 along step"),
        (_nan, "was changed since dlscore wrote it .'scores/likelihood' does not match its checksum."),
        (
            lambda file: file.attrs.__delitem__("policy"),
            "changed since dlscore wrote it .the attribute policy is gone.",
        ),
        (
            lambda file: file["scores/distance"].attrs.__setitem__("units", "m"),
            "the attribute units of 'scores/distance' does not match its checksum",
        ),
        (
            lambda file: file.attrs.__setitem__("episode", 1.0),
            "does not match its checksum|the attribute episode is '1.0'",
        ),
        (
            lambda file: file.attrs.__delitem__(checksums.ATTRIBUTES),
            "changed by another program before it was finished",
        ),
        (lambda file: file.attrs.__setitem__(checksums.ATTRIBUTES, "[1]"), "attribute_checksums is not a table"),
        (
            lambda file: file["scores/likelihood"].attrs.__delitem__("kind"),
            "lacks the attribute kind of scores/likelihood",
        ),
        (
            lambda file: file["scores/likelihood"].attrs.__setitem__("checks", '["sampling_error"]'),
            "no dataset 'checks/likelihood/sampling_error'",
        ),
    ],
)
def test_a_damaged_or_foreign_file_is_named(cache, change, words):
    tamper(cache, change)
    with pytest.raises(CacheError, match=words), open_cache(cache) as episode:
        [episode.score("likelihood", k) for k in range(episode.steps)]


def _huge(file):
    del file["predicted_chunks"]
    file.create_dataset("predicted_chunks", (6, 1 << 20, 16, 2), dtype="f4", chunks=(1, 1 << 10, 16, 2))


def _one_chunk(file):
    del file["scores/likelihood"]
    scores = file.create_dataset(
        "scores/likelihood", (6, 32, 32), dtype="f4", chunks=(1 << 18, 32, 32), maxshape=(None, 32, 32)
    )
    scores.attrs.update({"kind": "score", "units": "", "definition": "", "parameters": "{}", "evaluations_per_step": 1})


@pytest.mark.parametrize("change", [_huge, _one_chunk])
def test_a_file_never_asks_for_more_memory_than_a_cache_needs(cache, change):
    tamper(cache, change)
    with pytest.raises(CacheError, match="is stored as no cache stores it"), open_cache(cache):
        pass


@pytest.mark.parametrize(("name", "value"), [("episode", "first"), ("fps", [1, 2]), ("identity", "[]")])
def test_an_attribute_of_another_type_is_named(cache, name, value):
    tamper(cache, lambda file: file.attrs.__setitem__(name, value))
    with pytest.raises(CacheError, match=f"the attribute {name} is"), open_cache(cache):
        pass
