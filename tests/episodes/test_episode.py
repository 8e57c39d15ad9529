"""An episode's values are checked, and its fingerprint is of the data."""

import dataclasses

import numpy as np
import pytest

from dlscore.episodes.episode import DatasetError, check_episode, to_unit

NAMES = ["observation.state", "observation.environment_state"]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_positions_that_are_none_are_refused_before_anything_is_drawn(dataset, value, monkeypatch):
    reader, read = dataset._reader, dataset._reader.read

    def spoiled(index, names):
        arrays = dict(read(index, names))
        arrays["full_state"] = arrays["full_state"].copy()
        arrays["full_state"][3, 0] = value
        return arrays

    monkeypatch.setattr(reader, "read", spoiled)
    with pytest.raises(DatasetError, match=r"'full_state' of episode 0 .* non-finite values, or values beyond 10000"):
        dataset.load(0)


def test_pictures_that_are_not_uint8_are_refused(dataset):
    # Only uint8 says which value is white.
    episode = dataset.load(0, NAMES)
    pictures = {"observation.image": np.full((len(episode), 3, 96, 96), 255.0)}
    with pytest.raises(DatasetError, match="is not a uint8 picture for each step"):
        check_episode(dataclasses.replace(episode, observations=pictures), "x")
    assert to_unit(np.array([0, 51, 255], dtype=np.uint8)).tolist() == np.float32([0, 0.2, 1]).tolist()


def test_the_fingerprint_is_of_the_data(dataset):
    one, two = dataset.load(0, NAMES), dataset.load(0, NAMES)
    assert one.fingerprint() == two.fingerprint()
    two.action[3, 0] += 1e-6
    assert one.fingerprint() != two.fingerprint()
    assert dataset.load(1, NAMES).fingerprint() != one.fingerprint()
