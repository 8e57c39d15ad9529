"""Where the block is: the strokes are gym-pusht's, a picture gives its pose back, and the order of the sources holds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import stub

from dlscore.episodes import block_pose, dataset
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ACTION, ENVIRONMENT, IMAGE, STATE, DatasetError
from dlscore.pusht.canvas import FILLS, Canvas, fill_rounding, fill_truncating
from dlscore.pusht.env import make_env, render_image, set_state
from dlscore.pusht.geometry import angle_difference
from dlscore.pusht.image_pose import Comparer, fit

positions, angles = st.floats(60, 450), st.floats(0, 2 * np.pi, exclude_max=True)


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
    monkeypatch.setattr(dataset, "COMPANION", "local/none")


@settings(max_examples=20, deadline=None)
@given(x=positions, y=positions, angle=angles, agent_x=positions, agent_y=positions)
def test_the_strokes_are_gym_pushts(x, y, angle, agent_x, agent_y):
    import pygame

    env, canvas = make_env(), Canvas(fill_rounding)
    set_state(env, np.array([agent_x, agent_y, x, y, angle]))
    canvas.draw(np.array([x, y, angle]), np.array([agent_x, agent_y]))
    np.testing.assert_array_equal(canvas.pixels(), pygame.surfarray.array3d(env._draw()))


@settings(max_examples=20, deadline=None)
@given(x=positions, y=positions, angle=angles)
def test_the_difference_is_that_of_the_whole_picture(x, y, angle):
    # The comparer draws a part of the picture and knows the rest; cv2 rounds, so a level is allowed.
    agent, pose = np.array([100.0, 400.0]), np.array([x, y, angle])
    env = make_env()
    set_state(env, np.array([*agent, 200.0, 250.0, 1.0]))
    picture = render_image(env).astype(np.float64)
    set_state(env, np.array([*agent, *pose]))
    whole = np.abs(render_image(env) - picture).mean()
    assert Comparer(picture, agent, fill_rounding)(pose) / picture.size == pytest.approx(whole, abs=0.05)


def test_the_older_fill_truncates():
    # By hand: the edge from (9, 0) to (4, 3) is at x = 9 - 5y/3, truncated towards 9: 9, 8, 6, 4.
    import pygame

    screen = pygame.Surface((512, 512), depth=32)
    fill_truncating(screen, (255, 0, 0), [(9, 0), (4, 3), (12, 3)])
    filled = pygame.surfarray.array3d(screen)[:, :4, 0] > 0
    assert [(int(row.argmax()), int(row.sum())) for row in filled.T] == [(9, 1), (8, 3), (6, 6), (4, 9)]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("seed", range(3))
def test_a_picture_gives_its_pose_back(fill, seed):
    import cv2

    rng = np.random.default_rng(seed)
    pose, agent = rng.uniform([120, 120, 0], [400, 400, 2 * np.pi]), rng.uniform(40, 470, 2)
    canvas = Canvas(fill)
    canvas.draw(pose, agent)
    found = fit(cv2.resize(np.ascontiguousarray(canvas.pixels().transpose(1, 0, 2)), (96, 96)), agent)
    assert np.hypot(*(found.pose[:2] - pose[:2])) < 1
    assert abs(angle_difference(found.pose[2], pose[2])) < np.radians(1)
    assert found.residual < block_pose.LIMIT


@pytest.mark.parametrize(
    "pose", [(250, 530, 1.5), (-30, 250, 0.3), (0, 250, 0.3), (10, 250, 0.3), (500, 500, 0.3), (505, 250, 4.7)]
)
def test_a_block_that_leaves_the_picture_has_no_pose(pose):
    # What is seen of it fits another pose as well: a residual says nothing of that.
    import cv2

    canvas, agent = Canvas(fill_rounding), np.array([300.0, 300.0])
    canvas.draw(np.array(pose, dtype=float), agent)
    assert fit(cv2.resize(np.ascontiguousarray(canvas.pixels().transpose(1, 0, 2)), (96, 96)), agent) is None


def test_keypoints_that_are_no_block_are_passed_over(tmp_path, monkeypatch):
    folder = stub.save_dataset(
        tmp_path / "data", episodes=1, steps=6, cameras=(IMAGE,), video=False, without=("full_state",)
    )
    source = open_dataset(root=folder)
    read = source._reader.read

    def scaled(index, names):
        arrays = dict(read(index, names))
        return {**arrays, ENVIRONMENT: arrays[ENVIRONMENT] / 512}

    monkeypatch.setattr(source._reader, "read", scaled)
    assert source.load(0).pose_source.startswith("the first picture")
    forced = open_dataset(root=folder, block_pose="keypoints")
    monkeypatch.setattr(forced._reader, "read", scaled)
    with pytest.raises(DatasetError, match="is not the block's 8 corners in px"):
        forced.load(0)


def test_a_picture_without_a_block_has_no_pose():
    canvas = Canvas(fill_rounding)
    canvas.draw(None, np.array([100.0, 100.0]))
    assert fit(np.full((96, 96, 3), 255.0), np.array([100.0, 100.0])) is None


@pytest.mark.parametrize(("name", "px"), [("lossless", 1.0), ("video", 3.0)])
def test_the_start_comes_from_the_first_picture_where_nothing_else_says(image_only, source, name, px):
    episode = open_dataset(root=image_only / name).load(0)
    assert episode.block.shape == (1, 3)
    assert episode.pose_source.startswith("the first picture of observation.image, residual 0.")
    truth = source.load(0).block[0]
    assert np.hypot(*(episode.block[0, :2] - truth[:2])) < px
    assert abs(angle_difference(episode.block[0, 2], truth[2])) < np.radians(px)


def test_every_step_comes_from_every_picture(image_only, source):
    episode = open_dataset(root=image_only / "lossless", every_step=True).load(0)
    truth = source.load(0).block[:12]
    assert episode.block.shape == (12, 3)
    assert np.abs(episode.block[:, :2] - truth[:, :2]).max() < 1.5
    assert "every picture" in episode.pose_source


def test_a_picture_of_something_else_is_refused_with_its_residual(image_only):
    source = open_dataset(root=image_only / "lossless")
    read = source._reader.read

    def swapped(index, names):
        arrays = dict(read(index, names))
        arrays[IMAGE] = np.ascontiguousarray(arrays[IMAGE][..., ::-1])  # mirrored: no T of ours
        return arrays

    source._reader.read = swapped
    with pytest.raises(DatasetError, match=r"fits no pose \(residual \d\.\d\d/255\), limit 0\.3"):
        source.load(0)


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
    """open(change) -> a source of pictures whose companion's arrays went through `change`."""
    companion = stub.save_dataset(tmp_path / "companion", episodes=2, steps=12, without=("full_state",))

    def open_with(change=lambda arrays: arrays):
        class Changed(dataset.LeRobotReader):
            def __init__(self, repo_id, root, revision, *, ask=True):
                super().__init__("companion", companion, None)

            def read(self, index, names):
                return change(super().read(index, names))

        source = open_dataset(root=image_only / "lossless")
        monkeypatch.setattr(dataset, "LeRobotReader", Changed)
        return source

    return open_with


def test_the_companion_gives_the_pose_of_every_step(with_companion, source):
    episode = with_companion().load(1)
    assert episode.pose_source.startswith("companion data set")
    np.testing.assert_allclose(episode.block, source.load(1).block[:12], atol=1e-3)


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


def test_a_record_that_contradicts_itself_is_told():
    from dlscore.cache.drift import drift_warning

    assert drift_warning(0, {"agent_px": 0.0, "block_px": 0.0, "block_rad": 0.0, "picture": 2.0}) == ""
    told = drift_warning(0, {"agent_px": 0.0, "block_px": 0.0, "block_rad": 0.0, "picture": 2.7})
    assert "states and pictures contradict each other" in told
    assert "drifts 7.5 px" in drift_warning(0, {"agent_px": 0.0, "block_px": 0.0, "block_rad": 0.1})


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
