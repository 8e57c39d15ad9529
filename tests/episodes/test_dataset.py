import dataclasses
import importlib.util
import json
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlscore.common.errors import UserError
from dlscore.compute.prepare import parse_episodes
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ENVIRONMENT, STATE, DatasetError, check_episode

NAMES = ["observation.state", "observation.environment_state"]


def test_a_zarr_and_a_lerobot_dataset_of_the_same_episodes_agree(source, tmp_path):
    from support import stub

    zarr = open_dataset(root=stub.save_zarr(tmp_path / "tiny.zarr"))
    assert len(zarr) == len(source) == 2
    one, two = source.load(1, NAMES), zarr.load(1, NAMES)
    np.testing.assert_array_equal(one.action, two.action)
    np.testing.assert_allclose(one.state, two.state, atol=1e-9)
    for name in NAMES:
        np.testing.assert_allclose(one.observations[name], two.observations[name], atol=1e-4)
    assert (one.fps, two.fps) == (10, 10)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("data/state", np.zeros((48, 4)), r"data/state of .* has shape \(48, 4\); a PushT zarr's is \(48, 5\)"),
        ("data/action", np.zeros((48, 3)), r"data/action of .* has shape \(48, 3\)"),
        ("data/img", np.zeros((48, 8, 8, 4)), r"data/img of .* has shape \(48, 8, 8, 4\)"),
        ("data/action", np.full((48, 2), "x"), "holds <U1; a PushT zarr's holds numbers"),
        ("data/state", np.zeros(()), "is not a Diffusion Policy zarr"),
        ("meta/episode_ends", np.array([[24, 48]]), "has shape"),
        ("meta/episode_ends", np.array([24, 24]), "must ascend"),
        ("meta/episode_ends", np.array([24, 60]), "to at most 48"),
    ],
)
def test_a_zarr_that_is_not_pushts_is_refused(tmp_path, name, values, words):
    import zarr
    from support import stub

    folder = stub.save_zarr(tmp_path / "tiny.zarr")
    zarr.open_group(str(folder), mode="a")[name] = values
    with pytest.raises(DatasetError, match=words):
        open_dataset(root=folder)


def test_a_zarr_that_lost_a_chunk_is_not_read_as_zeros(tmp_path):
    from support import stub

    folder = stub.save_zarr(tmp_path / "tiny.zarr")
    (folder / "data" / "state" / "0.0").unlink()
    with pytest.raises(DatasetError, match="has 0 of its 1 chunks"):
        open_dataset(root=folder)
    (folder / "data" / "state" / "0.0").write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset(root=folder).load(0)


def test_zarr_pictures_of_another_scale_are_refused(tmp_path):
    import zarr
    from support import stub

    folder = stub.save_zarr(tmp_path / "tiny.zarr")
    zarr.open_group(str(folder), mode="a")["data/img"] = np.full((48, 32, 32, 3), 0.5, dtype=np.float32)
    with pytest.raises(DatasetError, match=r"reaches to 0\.5; a PushT zarr's is 0 to 255"):
        open_dataset(root=folder).load(0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_positions_that_are_none_are_refused_before_anything_is_drawn(source, value, monkeypatch):
    reader, read = source._reader, source._reader.read

    def spoiled(index, names):
        arrays = dict(read(index, names))
        arrays["full_state"] = arrays["full_state"].copy()
        arrays["full_state"][3, 0] = value
        return arrays

    monkeypatch.setattr(reader, "read", spoiled)
    with pytest.raises(DatasetError, match=r"'full_state' of episode 0 .* not finite, or beyond 10000"):
        source.load(0)


def test_shapes_that_are_not_as_promised_are_refused(source, monkeypatch):
    monkeypatch.setitem(source.features, "observation.environment_state", (18,))
    with pytest.raises(DatasetError, match=r"has shape \(16,\); the data set declares \(18,\)"):
        source.load(0, NAMES)


def test_a_zipped_zarr_is_read(tmp_path):
    from support import stub

    folder = stub.save_zarr(tmp_path / "tiny.zarr")
    for name, prefix in (("flat.zip", folder), ("nested.zip", folder.parent)):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(prefix))
        zipped = open_dataset(root=tmp_path / name)
        np.testing.assert_array_equal(zipped.load(0, []).action, open_dataset(root=folder).load(0, []).action)


def test_the_pose_comes_from_keypoints_where_there_is_no_state(source, tmp_path):
    from support import stub

    keypoints = open_dataset(root=stub.save_dataset(tmp_path / "data", episodes=1, without=("full_state",)))
    episode = keypoints.load(0, NAMES)
    assert episode.pose_source == "keypoints (observation.environment_state)"
    np.testing.assert_allclose(episode.state, source.load(0, NAMES).state, atol=1e-3)


def test_a_dataset_that_says_nothing_of_the_block_is_refused(tmp_path):
    from support import stub

    folder = stub.save_dataset(tmp_path / "data", episodes=1, without=("full_state", "observation.environment_state"))
    with pytest.raises(DatasetError, match="does not say where the block is"):
        open_dataset(root=folder)


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


def test_what_is_not_there_is_named(source, tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        open_dataset(root=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="neither a LeRobotDataset"):
        open_dataset(root=tmp_path)
    with pytest.raises(DatasetError, match="no data set given"):
        open_dataset()
    with pytest.raises(DatasetError, match="episode 999 is not in data set tiny; it has episodes 0 to 1"):
        source.load(999, [])
    with pytest.raises(DatasetError, match=r"no feature 'observation\.image'"):
        source.load(0, ["observation.image"])


def test_a_hub_id_without_network_is_an_error(monkeypatch):
    monkeypatch.setattr("dlscore.common.hub.ASK_SECONDS", 0.001)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="nobody/nothing"):
        open_dataset("nobody/nothing")


def test_features_under_other_names_are_renamed_as_lerobot_does(source, tmp_path):
    from support import stub

    names = {STATE: "observation.agent", ENVIRONMENT: "observation.keypoints"}
    folder = stub.save_dataset(tmp_path / "data", episodes=2, names=names)
    with pytest.raises(DatasetError, match=r"has no feature 'observation\.state' .*--rename-map gives"):
        open_dataset(root=folder)
    renamed = open_dataset(root=folder, rename={theirs: ours for ours, theirs in names.items()})
    assert renamed.features == source.features
    assert renamed.load(1, NAMES).fingerprint() == source.load(1, NAMES).fingerprint()


def test_a_checkpoints_own_names_are_used_where_the_data_have_them(dataset_folder):
    renamed = open_dataset(root=dataset_folder, optional_rename={"full_state": "observation.full_state", "gone": "x"})
    assert renamed.load(0).pose_source == "full state (observation.full_state)"


def test_a_state_of_five_numbers_is_the_full_state(source, tmp_path):
    from support import stub

    names = {"full_state": STATE}
    folder = stub.save_dataset(tmp_path / "data", without=(STATE, ENVIRONMENT), names=names)
    episode = open_dataset(root=folder).load(0, [STATE])
    assert episode.pose_source == "full state (observation.state)"
    assert episode.observations[STATE].shape == (24, 5)
    np.testing.assert_array_equal(episode.state, source.load(0).state)


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


def test_pictures_that_are_not_in_the_unit_interval_are_refused(source):
    # uint8 pictures give a policy garbage silently.
    episode = source.load(0, NAMES)
    pictures = {"observation.image": np.full((len(episode), 3, 96, 96), 255, dtype=np.uint8)}
    with pytest.raises(DatasetError, match=r"has values from 255 to 255; pictures are 0 to 1"):
        check_episode(dataclasses.replace(episode, observations=pictures), "x")


def test_the_fingerprint_is_of_the_data(source):
    one, two = source.load(0, NAMES), source.load(0, NAMES)
    assert one.fingerprint() == two.fingerprint()
    two.action[3, 0] += 1e-6
    assert one.fingerprint() != two.fingerprint()
    assert source.load(1, NAMES).fingerprint() != one.fingerprint()


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
