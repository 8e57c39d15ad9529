"""`distance` is zero at the prediction and falls off in px."""

import numpy as np

from dlscore.grid import Grid
from dlscore.scores.distance import Distance


def test_distance_is_zero_at_the_prediction(policy):
    grid = Grid(8)
    chunk = np.full((16, 2), 999.0)
    chunk[policy.current] = grid.actions[5, 2]
    scores = Distance().score(policy, None, chunk[None, None], grid, 0).values[0]
    assert scores[5, 2] == 0
    assert scores[5, 3] == -64
    assert scores[4, 2] == -64
