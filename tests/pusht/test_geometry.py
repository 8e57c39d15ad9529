"""Keypoints and poses of the block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlscore.pusht.geometry import angle_difference, keypoints_of_pose, pose_from_keypoints

angles = st.floats(0, 2 * np.pi, exclude_max=True)
positions = st.floats(50, 450)


@settings(max_examples=25, deadline=None)
@given(x=positions, y=positions, angle=angles)
def test_block_pose_from_keypoints(x, y, angle):
    pose = np.array([x, y, angle])
    found = pose_from_keypoints(keypoints_of_pose(pose))
    np.testing.assert_allclose(found[:2], pose[:2], atol=1e-6)
    assert angle_difference(found[2], angle) == pytest.approx(0, abs=1e-9)
