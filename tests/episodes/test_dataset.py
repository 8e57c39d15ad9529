"""Data sets: what is not there is named, features get the policy's names."""

import pytest

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ENVIRONMENT, STATE, DatasetError
from dlscore.episodes.features import RECORDED_NAMES

NAMES = ["observation.state", "observation.environment_state"]


def test_shapes_that_are_not_as_promised_are_refused(dataset, monkeypatch):
    monkeypatch.setitem(dataset.features, "observation.environment_state", (18,))
    with pytest.raises(DatasetError, match=r"has shape \(16,\); the data set declares \(18,\)"):
        dataset.load(0, NAMES)


def test_what_is_not_there_is_named(dataset, tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(root=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="neither a LeRobotDataset"):
        open_dataset(root=tmp_path)
    with pytest.raises(DatasetError, match="no data set given"):
        open_dataset()
    with pytest.raises(DatasetError, match="episode 999 is not in data set tiny; it has episodes 0 to 1"):
        dataset.load(999, [])
    with pytest.raises(DatasetError, match=r"no feature 'observation\.image'"):
        dataset.load(0, ["observation.image"])


def test_the_actions_alone_are_those_of_the_episode(dataset):
    assert (dataset.actions(1) == dataset.load(1).action).all()
    with pytest.raises(DatasetError, match="episode 999 is not in data set tiny"):
        dataset.actions(999)


def test_features_under_other_names_are_renamed_as_lerobot_does(dataset, tmp_path):
    from support import stub

    names = {STATE: "observation.agent", ENVIRONMENT: "observation.keypoints"}
    folder = stub.save_dataset(tmp_path / "data", episodes=2, names=names)
    with pytest.raises(DatasetError, match=r"has no feature 'observation\.state' .*--rename-map gives"):
        open_dataset(root=folder)
    renamed = open_dataset(root=folder, rename={theirs: ours for ours, theirs in names.items()})
    assert renamed.features == dataset.features
    assert renamed.load(1, NAMES).fingerprint() == dataset.load(1, NAMES).fingerprint()


def test_the_rollouts_that_lerobot_eval_records_need_no_rename_map(dataset, tmp_path):
    from support import stub

    names = {STATE: "agent_pos", ENVIRONMENT: "environment_state"}
    recorded = open_dataset(root=stub.save_dataset(tmp_path / "data", episodes=2, names=names))
    assert recorded.features == dataset.features
    assert recorded.load(1, NAMES).fingerprint() == dataset.load(1, NAMES).fingerprint()
    assert recorded.load(1, NAMES).executed_by == "a policy recorded by lerobot-eval"
    assert dataset.load(1, NAMES).executed_by == ""


def test_the_names_are_those_of_lerobots_own_pusht():
    configs = pytest.importorskip("lerobot.envs.configs")
    ours = {name: new for name, new in configs.PushtEnv().features_map.items() if name != "action"}
    assert ours == RECORDED_NAMES


def test_a_checkpoints_own_names_are_used_where_the_data_have_them(dataset_folder):
    renamed = open_dataset(root=dataset_folder, optional_rename={"full_state": "observation.full_state", "gone": "x"})
    assert renamed.load(0).pose_source == "full state (observation.full_state)"
