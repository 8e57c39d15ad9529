"""Diffusion Policy zarrs: the same episodes, and nothing that is no PushT."""

import zipfile

import numpy as np
import pytest

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import DatasetError

NAMES = ["observation.state", "observation.environment_state"]


def test_a_zarr_and_a_lerobot_dataset_of_the_same_episodes_agree(dataset, tmp_path):
    from support import stub

    zarr = open_dataset(root=stub.save_zarr(tmp_path / "tiny.zarr"))
    assert len(zarr) == len(dataset) == 2
    one, two = dataset.load(1, NAMES), zarr.load(1, NAMES)
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
    with pytest.raises(DatasetError, match=r"has values from 0\.5 to 0\.5; a PushT zarr's are integers"):
        open_dataset(root=folder).load(0)


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
