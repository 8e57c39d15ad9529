"""LeRobot data sets: versions, and folders that are damaged."""

import importlib.util
import json
import shutil

import pandas as pd
import pytest

from dlscore.common.errors import UserError
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import DatasetError
from dlscore.episodes.parquet import read_tasks


def test_a_dataset_without_actions_is_refused(dataset_folder, tmp_path):
    import shutil

    folder = shutil.copytree(dataset_folder, tmp_path / "data")
    file = folder / "meta" / "info.json"
    info = json.loads(file.read_text())
    del info["features"]["action"]
    file.write_text(json.dumps(info))
    with pytest.raises(DatasetError, match="has no feature 'action'"):
        open_dataset(root=folder)


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ("v2.0", "convert it first to v2.1"),
        ("v2.1", "convert it with python -m lerobot.scripts.convert_dataset_v21_to_v30"),
        ("v1.6", "save it again with LeRobot 0.6; its converter from v2.1"),
        ("v4.0", "update dlscore"),
        ("v10.0", "update dlscore"),
    ],
)
def test_other_versions_are_refused(dataset_folder, tmp_path, version, remedy):
    import shutil

    folder = shutil.copytree(dataset_folder, tmp_path / "data")
    file = folder / "meta" / "info.json"
    file.write_text(file.read_text().replace("v3.0", version))
    with pytest.raises(DatasetError, match=rf"format {version}; v3.0 is read here: {remedy}"):
        open_dataset(root=folder)
    assert importlib.util.find_spec(
        "lerobot.scripts.convert_dataset_v21_to_v30"
    )  # the converter that is named is there


def test_a_hub_id_without_network_is_an_error(monkeypatch):
    monkeypatch.setattr("dlscore.common.hub.ASK_SECONDS", 0.001)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="nobody/nothing"):
        open_dataset("nobody/nothing")


@pytest.mark.parametrize("index", ["task", None])
def test_tasks_are_read_as_lerobot_writes_them_or_its_converter_did(tmp_path, index):
    (tmp_path / "meta").mkdir()
    texts = pd.Index(["push", "pull"], name=index)
    pd.DataFrame({"task_index": [1, 0]}, index=texts).to_parquet(tmp_path / "meta" / "tasks.parquet")
    assert read_tasks(tmp_path) == ("pull", "push")


@pytest.mark.parametrize("gone", ["meta/tasks.parquet", "data", "data/chunk-000/file-000.parquet"])
def test_a_data_set_that_is_not_whole_is_named_without_a_question_to_the_hub(
    dataset_folder, tmp_path, monkeypatch, gone
):
    monkeypatch.setattr("socket.socket.connect", lambda *args: pytest.fail("asked the network"))
    folder = shutil.copytree(dataset_folder, tmp_path / "data")
    shutil.rmtree(folder / gone) if (folder / gone).is_dir() else (folder / gone).unlink()
    with pytest.raises(DatasetError, match=f"is incomplete: it .*{gone.split('/')[0]}"):
        open_dataset(root=folder).load(0)


def test_no_folder_is_made_where_there_is_none(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(root=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_home_that_cannot_be_written_does_not_matter(dataset_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *args: pytest.fail("asked the network"))
    (tmp_path / "home").touch()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    dataset = open_dataset(root=dataset_folder)
    assert len(dataset.load(0)) == dataset.lengths[0]
