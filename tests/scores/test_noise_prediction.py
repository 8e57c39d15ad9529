"""`noise_pred` prefers the mode."""

import numpy as np

from dlscore.grid import Grid
from dlscore.scores.noise_prediction import NoisePrediction


def test_noise_prediction_prefers_the_mode():
    from dlscore.certify import analytic_policy, mixtures

    one, grid = mixtures.gaussians("", [[0.3, -0.4]], 0.1), Grid(24)
    policy = analytic_policy.make_policy(one)
    scores = (
        NoisePrediction()
        .score(policy, analytic_policy.encode_observation(policy), policy.to_px(one.chunks)[None], grid, 0)
        .values[0]
    )
    assert policy.evaluations == NoisePrediction().evaluations(policy, grid) == 5 * 24**2
    j, i = np.unravel_index(scores.argmax(), scores.shape)
    np.testing.assert_allclose(grid.actions[j, i], policy.to_px([0.3, -0.4]), atol=grid.cell)
