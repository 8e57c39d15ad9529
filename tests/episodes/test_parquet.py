"""A data set's files are read by path: another folder's numbers, stale numbers and another episode's pictures are impossible."""

import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import stub

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ACTION, IMAGE, DatasetError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return stub.save_dataset(tmp_path_factory.mktemp("data") / "tiny", episodes=2, steps=6)


def rewrite(folder, change) -> None:
    """Change the table of the data set's rows."""
    (file,) = (folder / "data").rglob("*.parquet")
    pq.write_table(change(pq.ParquetFile(file).read()), file)


def scale_actions(table: pa.Table, factor: float) -> pa.Table:
    values = [[factor * each for each in row] for row in table[ACTION].to_pylist()]
    return table.set_column(
        table.schema.get_field_index(ACTION), ACTION, pa.array(values, table.schema.field(ACTION).type)
    )


@pytest.mark.parametrize("name", ["run[1]", "run*", "run?", "{a,b}", "a b", "ä%20", "[!x]", "--root", "~"])
def test_a_folder_whose_name_looks_like_a_pattern_gives_its_own_numbers(tiny, tmp_path, name):
    folder = shutil.copytree(tiny, tmp_path / name)
    for other in ("run1", "runs", "a", "b", "ä "):
        shutil.copytree(tiny, tmp_path / other)
        rewrite(tmp_path / other, lambda table: scale_actions(table, 0.5))
    np.testing.assert_array_equal(open_dataset(root=folder).load(0).action, open_dataset(root=tiny).load(0).action)


def test_numbers_that_changed_under_an_unchanged_time_are_read_anew(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "data")
    (file,) = (folder / "data").rglob("*.parquet")
    before, stat = open_dataset(root=folder).load(1).action, file.stat()
    rewrite(folder, lambda table: scale_actions(table, 0.5))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    np.testing.assert_allclose(open_dataset(root=folder).load(1).action, before / 2, rtol=1e-6)


def test_nothing_is_written_into_the_home(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    open_dataset(root=tiny).load(0)
    assert not (tmp_path / "home").exists()


def set_column(table: pa.Table, name: str, values) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, table.schema.field(name).type))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: set_column(table, "episode_index", [0] * 6 + [2] * 6), "0 rows of episode 1"),
        (lambda table: table.take([1, 0, *range(2, 12)]), "must be 0 to 5 in order"),
        (lambda table: table.slice(0, 11), "5 rows of episode 1"),
        (lambda table: table.drop_columns(["episode_index"]), "no column episode_index"),
        (lambda table: table.drop_columns([ACTION]), "no column action"),
    ],
)
def test_rows_that_are_not_the_episodes_are_refused(tiny, tmp_path, change, words):
    folder = shutil.copytree(tiny, tmp_path / "data")
    rewrite(folder, change)
    dataset = open_dataset(root=folder)
    with pytest.raises(DatasetError, match=words):
        [dataset.load(index) for index in (0, 1)]


@pytest.mark.parametrize(
    ("indices", "words"),
    [([1, 0], "has episode_index 1 where 0 belongs"), ([0, 2], "has episode_index 2 where 1 belongs")],
)
def test_a_table_of_episodes_out_of_order_is_refused_before_any_work(tiny, tmp_path, indices, words):
    folder = shutil.copytree(tiny, tmp_path / "data")
    (file,) = (folder / "meta" / "episodes").rglob("*.parquet")
    pq.write_table(set_column(pq.ParquetFile(file).read(), "episode_index", indices), file)
    with pytest.raises(DatasetError, match=words):
        _ = open_dataset(root=folder).lengths


def test_a_table_with_fewer_episodes_than_promised_is_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "data")
    info = json.loads((folder / "meta" / "info.json").read_text())
    (folder / "meta" / "info.json").write_text(json.dumps(info | {"total_episodes": 3}))
    with pytest.raises(DatasetError, match=r"has 2 episodes, meta/info\.json says 3"):
        _ = open_dataset(root=folder).lengths


def test_only_the_cameras_and_steps_that_are_needed_are_decoded(tmp_path, monkeypatch):
    cameras = (IMAGE, "observation.images.wrist")
    folder = stub.save_dataset(tmp_path / "data", episodes=1, steps=12, cameras=cameras)
    dataset, decoded = open_dataset(root=folder), []
    plain = dataset._reader.pictures
    monkeypatch.setattr(
        dataset._reader, "pictures", lambda index, name, stop: decoded.append((name, stop)) or plain(index, name, stop)
    )
    episode = dataset.load(0, [IMAGE], steps=5)
    assert episode.observations[IMAGE].shape == (5, 3, 96, 96)
    assert (cameras[1], 5) not in decoded  # one picture of it, to see that it does not show the world better
    assert sorted(decoded) == [(IMAGE, 1), (IMAGE, 5), (cameras[1], 1)]
