"""Where the block is: full state, keypoints, companion data set, picture, in this order."""

import dataclasses

import numpy as np
import pytest
from support import stub

from dlscore.episodes import block_pose
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ACTION, ENVIRONMENT, IMAGE, STATE, DatasetError
from dlscore.episodes.lerobot_reader import LeRobotReader
from dlscore.pusht.geometry import angle_difference

NAMES = ["observation.state", "observation.environment_state"]


@pytest.fixture(scope="module")
def image_only(tmp_path_factory):
    """Data sets of pictures and agent positions alone, lossless and video."""
    without = ("full_state", ENVIRONMENT)
    folder = tmp_path_factory.mktemp("image_only")
    for name, video in (("lossless", False), ("video", True)):
        stub.save_dataset(folder / name, episodes=2, steps=12, cameras=(IMAGE,), without=without, video=video)
    return folder


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    """No companion but the one that a test puts in its place."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(block_pose, "COMPANION", "local/none")
    monkeypatch.setattr("dlscore.episodes.dataset.COMPANION", "local/none")


def test_keypoints_that_are_no_block_are_passed_over(tmp_path, monkeypatch):
    folder = stub.save_dataset(
        tmp_path / "data", episodes=1, steps=6, cameras=(IMAGE,), video=False, without=("full_state",)
    )
    dataset = open_dataset(root=folder)
    read = dataset._reader.read

    def scaled(index, names):
        arrays = dict(read(index, names))
        return {**arrays, ENVIRONMENT: arrays[ENVIRONMENT] / 512}

    monkeypatch.setattr(dataset._reader, "read", scaled)
    assert dataset.load(0).pose_source.startswith("the first picture")
    forced = open_dataset(root=folder, block_pose="keypoints")
    monkeypatch.setattr(forced._reader, "read", scaled)
    with pytest.raises(DatasetError, match="is not the block's 8 corners in px"):
        forced.load(0)


@pytest.mark.parametrize(("name", "px"), [("lossless", 1.0), ("video", 3.0)])
def test_the_start_comes_from_the_first_picture_where_nothing_else_says(image_only, dataset, name, px):
    episode = open_dataset(root=image_only / name).load(0)
    assert episode.block.shape == (1, 3)
    assert episode.pose_source.startswith("the first picture of observation.image, residual 0.")
    truth = dataset.load(0).block[0]
    assert np.hypot(*(episode.block[0, :2] - truth[:2])) < px
    assert abs(angle_difference(episode.block[0, 2], truth[2])) < np.radians(px)


@pytest.mark.slow
def test_every_step_comes_from_every_picture(image_only, dataset):
    episode = open_dataset(root=image_only / "lossless", every_step=True).load(0)
    truth = dataset.load(0).block[:12]
    assert episode.block.shape == (12, 3)
    assert np.abs(episode.block[:, :2] - truth[:, :2]).max() < 1.5
    assert "every picture" in episode.pose_source


def test_a_picture_of_something_else_is_refused_with_its_residual(image_only):
    dataset = open_dataset(root=image_only / "lossless")
    plain = dataset._reader.pictures
    dataset._reader.pictures = lambda *argv: np.ascontiguousarray(plain(*argv)[..., ::-1])  # mirrored: no T of ours
    with pytest.raises(DatasetError, match=r"fits no pose \(residual \d\.\d\d/255\), limit 0\.3"):
        dataset.load(0)


def test_the_order_is_state_keypoints_companion_image(tmp_path, monkeypatch):
    full = stub.save_dataset(tmp_path / "full", episodes=1, steps=8, cameras=(IMAGE,), video=False)
    assert open_dataset(root=full).load(0).pose_source == "full state (full_state)"
    assert open_dataset(root=full, block_pose="keypoints").load(0).pose_source == f"keypoints ({ENVIRONMENT})"
    assert open_dataset(root=full, block_pose="image").load(0).pose_source.startswith("the first picture")
    with pytest.raises(
        DatasetError, match="invalid value 'guess' for --block-pose; choose from auto, state, keypoints"
    ):
        open_dataset(root=full, block_pose="guess")


@pytest.fixture
def with_companion(image_only, monkeypatch, tmp_path):
    """open(change) -> a data set of pictures whose companion's arrays went through `change`."""
    companion = stub.save_dataset(tmp_path / "companion", episodes=2, steps=12, without=("full_state",))

    def open_with(change=lambda arrays: arrays):
        class Changed(LeRobotReader):
            def __init__(self, repo_id, root, revision, *, ask=True):
                super().__init__("companion", companion, None)

            def read(self, index, names):
                return change(super().read(index, names))

        dataset = open_dataset(root=image_only / "lossless")
        monkeypatch.setattr("dlscore.episodes.dataset.LeRobotReader", Changed)
        return dataset

    return open_with


def test_the_companion_gives_the_pose_of_every_step(with_companion, dataset):
    episode = with_companion().load(1)
    assert episode.pose_source.startswith("companion data set")
    np.testing.assert_allclose(episode.block, dataset.load(1).block[:12], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (STATE, lambda values: values + 0.01, "differs by up to 0.01 px"),
        (ACTION, lambda values: np.roll(values, 1, axis=0), "differs by up to"),
        (STATE, lambda values: values[:-1], "has 11 steps, not 12"),
    ],
)
def test_a_companion_that_does_not_agree_is_passed_over_and_told(with_companion, name, change, words):
    episode = with_companion(lambda arrays: {**arrays, name: change(arrays[name])}).load(1)
    assert episode.pose_source.startswith("the first picture")
    assert episode.pose_note.startswith("companion: ")
    assert words in episode.pose_note


def test_states_need_a_pose_at_every_step(image_only):
    from dlscore.episodes.replay import ReplayError, replay

    with pytest.raises(ReplayError, match="needs the block's pose at every step"):
        next(replay(open_dataset(root=image_only / "lossless").load(0), "states"))


def largest(steps) -> dict[str, float]:
    steps = list(steps)
    return {part: max(step.drift[part] for step in steps) for part in steps[0].drift}


def test_a_record_of_pictures_has_their_drift(image_only):
    from dlscore.cache.drift import drift_warning
    from dlscore.episodes.replay import measured_parts, replay

    episode = open_dataset(root=image_only / "lossless").load(0)
    assert measured_parts(episode) == ("agent_px", "picture")
    right = largest(replay(episode))
    elsewhere = dataclasses.replace(episode, block=episode.block + [60, 40, 1.0])
    wrong = largest(replay(elsewhere))
    assert right["picture"] < 0.3 < 2.5 < wrong["picture"]
    assert drift_warning(0, right) == ""
    assert "the block is elsewhere: --replay states" in drift_warning(0, wrong)


def test_the_pose_comes_from_keypoints_where_there_is_no_state(dataset, tmp_path):
    from support import stub

    keypoints = open_dataset(root=stub.save_dataset(tmp_path / "data", episodes=1, without=("full_state",)))
    episode = keypoints.load(0, NAMES)
    assert episode.pose_source == "keypoints (observation.environment_state)"
    np.testing.assert_allclose(episode.state, dataset.load(0, NAMES).state, atol=1e-3)


def test_a_dataset_that_says_nothing_of_the_block_is_refused(tmp_path):
    from support import stub

    folder = stub.save_dataset(tmp_path / "data", episodes=1, without=("full_state", "observation.environment_state"))
    with pytest.raises(DatasetError, match="does not say where the block is"):
        open_dataset(root=folder)


def test_a_state_of_five_numbers_is_the_full_state(dataset, tmp_path):
    from support import stub

    names = {"full_state": STATE}
    folder = stub.save_dataset(tmp_path / "data", without=(STATE, ENVIRONMENT), names=names)
    episode = open_dataset(root=folder).load(0, [STATE])
    assert episode.pose_source == "full state (observation.state)"
    assert episode.observations[STATE].shape == (24, 5)
    np.testing.assert_array_equal(episode.state, dataset.load(0).state)
