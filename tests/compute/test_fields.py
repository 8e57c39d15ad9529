"""The cached fields: each row of the schema names the function that computes it, and a new row is all that a field needs."""

import sys
from dataclasses import replace
from itertools import islice
from types import ModuleType

import h5py
import numpy as np
import pytest
from support.runs import ALL, Stop, stop, with_methods

from dlscore.cache import datasets, layout, reader, schema, writer
from dlscore.cache.checksums import number_arrays
from dlscore.cache.errors import CacheError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import FIELDS, FIXED_DIMENSIONS, FRAMES, VERSION, Field
from dlscore.cache.verify import verify
from dlscore.compute import fields
from dlscore.compute.episode import compute_episode
from dlscore.compute.fields import StepBlock, compute_fields
from dlscore.compute.run import Run
from dlscore.compute.settings import Options
from dlscore.episodes.replay import measured_parts, replay


@pytest.fixture
def block(policy, dataset) -> StepBlock:
    """Steps 3 to 7 of episode 0 with two drawn chunks each."""
    run = Run(policy, dataset, ALL)
    episode = run.load(0)
    rows = slice(3, 8)
    chunks = np.random.default_rng(0).uniform(0, 512, (5, 2, policy.horizon, 2)).astype(np.float32)
    return StepBlock(run, episode, rows, list(islice(replay(episode), 3, 8)), chunks, measured_parts(episode))


def test_every_field_is_made_in_its_shape(block):
    made = compute_fields(block)
    always = [field for field in FIELDS if field.made_by and not field.optional]  # the data set has no outcome
    assert list(made) == [field.name for field in always]
    sizes = {"step": 5, "sample": 2, "horizon": block.run.policy.horizon, "drift_part": 3, **FIXED_DIMENSIONS}
    for field in always:
        expected = tuple(sizes[dimension] for dimension in field.shape)
        assert made[field.name].shape == (expected if field.name != FRAMES else (5, 512, 512, 3)), field.name
        assert np.can_cast(made[field.name].dtype, field.dtype, "same_kind"), field.name


def test_an_outcome_is_made_where_the_episode_has_one(block):
    outcome = {"reward": np.linspace(0, 1, 24), "executed/entry": np.arange(24.0) % 8}
    made = compute_fields(replace(block, episode=replace(block.episode, outcome=outcome)))
    np.testing.assert_array_equal(made["reward"], outcome["reward"][3:8])
    assert made["executed/entry"].tolist() == [3, 4, 5, 6, 7]
    assert "success" not in made


def test_the_fields_are_of_the_blocks_own_steps(block):
    made, episode = compute_fields(block), block.episode
    np.testing.assert_array_equal(made["expert_action"], episode.action[3:8])
    np.testing.assert_allclose(made["state"], episode.state[3:8], atol=1e-3)
    np.testing.assert_array_equal(made["predicted_action"], block.chunks[:, 0, block.run.policy.current])
    assert made["predicted_chunks"] is block.chunks
    assert made["drift"].max() < 1e-3
    np.testing.assert_array_equal(made[FRAMES][2], block.replayed[2].frame)


def test_what_has_no_function_is_filled_by_the_writer():
    assert {field.name for field in FIELDS if not field.made_by} == {"time", "x", "y", "frames/palette", "done"}


NEXT = f"1.{int(VERSION.split('.')[1]) + 1}"
SPEED = Field(
    "speed", ("step",), "f4", "px", "way of the agent since the step before", made_by="speeds:speed", since=NEXT
)


@pytest.fixture
def with_speed(monkeypatch):
    """The next schema, which has one more field, whose function is in a module of its own."""
    speeds = ModuleType("speeds")
    speeds.speed = lambda block: np.arange(block.rows.start, block.rows.stop) / 2
    monkeypatch.setitem(sys.modules, "speeds", speeds)
    for module in (schema, layout, reader, writer, datasets, fields):
        monkeypatch.setattr(module, "FIELDS", (*FIELDS, SPEED))
    monkeypatch.setitem(schema.BY_NAME, SPEED.name, SPEED)
    for module in (schema, layout, writer, datasets):
        monkeypatch.setattr(module, "VERSION", NEXT)


def test_a_new_field_is_a_row_and_a_function(with_speed, policy, dataset, tmp_path):
    path = tmp_path / "episode_000.h5"
    compute_episode(Run(policy, dataset, with_methods(ALL, {"distance": {}})), 0, path)
    with open_cache(path) as cache:
        assert cache.attrs["schema_version"] == NEXT
        np.testing.assert_array_equal(cache.array("speed"), np.arange(14) / 2)
    with h5py.File(path) as file:
        assert file["speed"].attrs["units"] == "px"
        assert file["speed"].dims[0].keys() == ["time"]
        arrays = [array.name for array in number_arrays(file)]
    assert "/speed" in arrays
    assert verify(path)["checksums"]["arrays"] == len(arrays)


def test_a_new_field_is_required_of_new_files_only(with_speed, policy, dataset, finished, tmp_path):
    with open_cache(finished) as cache:
        assert cache.attrs["schema_version"] == VERSION
        with pytest.raises(CacheError, match=f"schema {VERSION}.*came with {NEXT}.*--force"):
            cache.array("speed")
    path = tmp_path / "new" / "episode_000.h5"
    compute_episode(Run(policy, dataset, with_methods(ALL, {"distance": {}})), 0, path)
    with h5py.File(path, "r+") as file:
        del file["speed"]
    with pytest.raises(CacheError, match="no dataset 'speed'"):
        open_cache(path)


def test_files_that_were_made_before_a_new_field_gain_methods_and_go_on(policy, dataset, tmp_path, request):
    run = Run(policy, dataset, with_methods(ALL, {"distance": {}}))
    path, part = (tmp_path / name / "episode_000.h5" for name in ("finished", "part"))
    compute_episode(run, 0, path)
    with pytest.raises(Stop):
        compute_episode(run, 0, part, progress=stop)
    request.getfixturevalue("with_speed")
    more = Run(policy, dataset, with_methods(ALL, {"distance": {}, "noise_pred": {"levels": 2}}))
    for each, wanted, state in ((path, more, "extended"), (part, run, "resumed")):
        assert compute_episode(wanted, 0, each).state == state
        with open_cache(each) as cache:
            assert cache.attrs["schema_version"] == VERSION  # it does not have what the next asks for
            assert "speed" not in cache._file
        assert compute_episode(wanted, 0, each).state == "current"
    assert compute_episode(run, 0, part, Options(force=True)).state == "computed"
    with open_cache(part) as cache:
        assert cache.array("speed").shape == (14,)
