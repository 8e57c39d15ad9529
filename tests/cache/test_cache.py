import errno
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.synthetic import frame, rewrite, write_cache

from dlscore.cache import checksums, seal
from dlscore.cache.errors import BusyError, CacheError, FolderError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import FIELDS, FRAMES, part_path
from dlscore.cache.writer import CacheWriter, _draft


@pytest.fixture
def cache(tmp_path) -> Path:
    return write_cache(tmp_path / "episode_000.h5")


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


def test_every_field_of_the_table_is_there_with_units_and_scales(cache):
    with h5py.File(cache) as file:
        for field in FIELDS:
            assert file[field.name].dtype == field.dtype
            assert file[field.name].attrs["units"] == field.units
        assert file["scores/likelihood"].dims[0].keys() == ["time"]
        assert file["scores/likelihood"].dims[1].keys() == ["y"]
        assert file["scores/likelihood"].dims[2].keys() == ["x"]


def test_xarray_opens_it(cache):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xarray.open_datatree(cache, engine="h5netcdf") as tree:
        assert tree["scores/likelihood"].dims == ("time", "y", "x")
        assert float(tree["expert_action"][0, 1]) == 400


def test_an_unfinished_episode_has_no_finished_name(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    assert not path.exists()
    with pytest.raises(CacheError, match="unfinished: run dlscore compute again"), open_cache(path):
        pass
    with pytest.raises(CacheError, match="3 of 6 steps"), open_cache(part_path(path)):
        pass
    with open_cache(part_path(path), partial=True) as episode:
        assert episode.done.tolist() == [True] * 3 + [False] * 3
    with pytest.raises(CacheError, match="3 steps are missing"):
        CacheWriter(path).finish()


def test_values_that_are_not_finite_never_reach_the_file(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    writer, before = CacheWriter(path), part_path(path).read_bytes()
    with pytest.raises(CacheError, match="expert_action of steps 3 to 3 holds non-finite values"):
        writer.write(slice(3, 4), {"expert_action": np.array([[np.nan, 0]])})
    assert not writer.done[3]
    assert part_path(path).read_bytes() == before


def test_more_colours_than_the_palette_holds_are_refused(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    noise = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3), dtype=np.uint8)
    with pytest.raises(CacheError, match="more than 256 colours"):
        CacheWriter(path).write(slice(3, 4), {FRAMES: noise})


def test_extending_keeps_the_finished_file_until_the_end(cache):
    before = cache.read_bytes()
    attrs = {"kind": "score", "units": "nats", "parameters": {}, "definition": "", "evaluations_per_step": 1}
    writer = CacheWriter.extend(cache, {"noise_pred": attrs})
    assert writer.extending == ["noise_pred"]
    assert cache.read_bytes() == before
    writer.write(slice(0, 6), {"scores/noise_pred": np.ones((6, 32, 32))})
    assert cache.read_bytes() == before
    writer.finish()
    with open_cache(cache) as episode:
        assert episode.methods == ("distance", "likelihood", "noise_pred")
        assert "extending" not in episode.attrs
        np.testing.assert_allclose(episode.expert_action[0], [100, 400])


def damage(path: Path, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


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
        (lambda file: file.attrs.__setitem__("schema", "other"), "no dlscore cache"),
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
        (lambda file: file.attrs.__setitem__("episode", 1.0), "does not match its checksum|the attribute episode is '1.0'"),
        (lambda file: file.__delitem__("xy"), "'xy' is gone"),
        (
            lambda file: file.attrs.__delitem__(checksums.ATTRIBUTES),
            "changed by another program before it was finished",
        ),
        (lambda file: file.attrs.__setitem__(checksums.ATTRIBUTES, "[1]"), "attribute_checksums is no table"),
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
    damage(cache, change)
    with pytest.raises(CacheError, match=words), open_cache(cache) as episode:
        [episode.score("likelihood", k) for k in range(episode.steps)]


def test_numbers_that_are_not_finite_are_named_though_their_checksum_is_right(cache):
    rewrite(cache, _nan)
    with pytest.raises(CacheError, match="non-finite"), open_cache(cache) as episode:
        [episode.score("likelihood", k) for k in range(episode.steps)]


def _later(file):
    file.create_dataset("from_the_future", data=np.arange(3))
    file["state"].attrs["note"] = "mine"
    file.copy("state", "doubled")  # with its attributes, as xarray keeps them too
    file["doubled"][:] *= 2
    kind = h5py.h5t.UNIX_D32LE  # which numpy has not
    h5py.h5d.create(file.id, b"times", kind, h5py.h5s.create_simple((3,)))


def test_unknown_extras_are_ignored(cache):
    damage(cache, _later)
    with open_cache(cache) as episode:
        assert episode.steps == 6


def test_what_somebody_added_stays_theirs_when_a_method_is_added(cache):
    damage(cache, _later)
    writer = CacheWriter.extend(cache, {"noise_pred": {"kind": "score", "units": "1", "parameters": {}, "definition": "",
                                                       "evaluations_per_step": 1}})  # fmt: skip
    writer.write(slice(0, 6), {"scores/noise_pred": np.ones((6, 32, 32))})
    writer.finish()
    damage(cache, lambda file: file["doubled"].__setitem__(0, 7))
    damage(cache, lambda file: file["state"].attrs.__setitem__("note", "mine again"))
    with open_cache(cache) as episode:
        assert "noise_pred" in episode.methods
    damage(cache, lambda file: file["scores/noise_pred"].__setitem__(0, 7))
    with pytest.raises(CacheError, match="'scores/noise_pred' does not match its checksum"), open_cache(cache):
        pass


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> bytes:
    return write_cache(tmp_path_factory.mktemp("intact") / "episode_000.h5", steps=3, resolution=8).read_bytes()


def read_all(path: Path) -> None:
    with open_cache(path) as episode:
        for k in range(episode.steps):
            episode.frame(k)
            [episode.score(method, k) for method in episode.methods]


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


def test_a_byte_that_changed_is_found_before_hdf5_reads_it(tmp_path, intact, monkeypatch):
    path = tmp_path / "episode_000.h5"
    path.write_bytes(intact)
    assert seal.state(path) == "whole"
    monkeypatch.setattr(h5py, "File", None)  # as a TypeError would show
    for position in (0, 100, len(intact) // 2, len(intact) - seal.LENGTH - 1):
        blob = bytearray(intact)
        blob[position] ^= 1
        path.write_bytes(bytes(blob))
        with pytest.raises(CacheError, match="is damaged"), open_cache(path):
            pass


def test_a_file_that_was_changed_on_purpose_has_no_seal(cache):
    damage(cache, lambda file: file.attrs.__setitem__("note", "mine"))
    assert seal.state(cache) == "none"
    with open_cache(cache) as episode:
        assert episode.attrs["note"] == "mine"


@pytest.mark.parametrize("fails", ["copyfile", "replace", "fsync"])
def test_a_block_that_cannot_be_written_leaves_the_part_as_it_was(tmp_path, monkeypatch, fails):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    before, writer = part_path(path).read_bytes(), CacheWriter(path)

    def full(*_):
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(shutil if fails == "copyfile" else os, fails, full)
    with pytest.raises(FolderError, match=r"cannot write .*draft \(No space left on device\)"):
        writer.write(slice(3, 4), {"predicted_action": np.zeros((1, 2))})
    assert part_path(path).read_bytes() == before
    assert os.listdir(tmp_path) == ["episode_000.h5.part"]
    assert not writer.done[3]
    monkeypatch.undo()
    writer.write(slice(3, 4), {"predicted_action": np.zeros((1, 2))})


def test_a_lock_that_was_lost_keeps_the_part_as_it_was(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    before = part_path(path).read_bytes()

    lost = []

    def still_ours():
        if lost:
            raise BusyError("taken over")

    writer = CacheWriter(path, still_ours)
    lost.append(True)
    with pytest.raises(BusyError, match="taken over"):
        writer.write(slice(3, 4), {"predicted_action": np.zeros((1, 2))})
    assert part_path(path).read_bytes() == before


def test_a_run_that_was_suspended_in_a_block_leaves_the_other_ones_work(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", finish=False)
    block, lost = {"predicted_action": np.ones((1, 2))}, []

    def still_ours():
        if lost:
            raise BusyError("taken over")

    def suspended():
        with _draft(path, part_path(path), still_ours) as file:  # it sleeps in here
            CacheWriter(path).write(slice(3, 4), block)
            lost.append(True)
            file["predicted_action"][:] = 7

    with pytest.raises(BusyError):
        suspended()
    with open_cache(part_path(path), partial=True) as episode:
        assert episode.done.tolist() == [True] * 4 + [False] * 2
        assert (episode.predicted_action[3] == 1).all()
    assert os.listdir(tmp_path) == ["episode_000.h5.part"]
    with pytest.raises(BusyError):
        CacheWriter(path, still_ours)


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
    damage(cache, change)
    with pytest.raises(CacheError, match="is stored as no cache stores it"), open_cache(cache):
        pass


@pytest.mark.parametrize(("name", "value"), [("episode", "first"), ("fps", [1, 2]), ("identity", "[]")])
def test_an_attribute_of_another_type_is_named(cache, name, value):
    damage(cache, lambda file: file.attrs.__setitem__(name, value))
    with pytest.raises(CacheError, match=f"the attribute {name} is"), open_cache(cache):
        pass
