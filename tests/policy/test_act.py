"""An ACT predicts what LeRobot's own does, and has no density."""

import numpy as np
import pytest
import torch
from support import families
from support.checkpoints import edit_config, load

from dlscore.common.errors import UserError
from dlscore.episodes.episode import ENVIRONMENT, IMAGE, STATE
from dlscore.grid import Grid
from dlscore.scores.distance import Distance
from dlscore.scores.likelihood import Likelihood

MEANT = {
    "VISUAL": "MEAN_STD",
    "STATE": "MIN_MAX",
    "ACTION": "MIN_MAX",
}  # as LeRobot's default, without an entry for ENV


@pytest.mark.parametrize(
    ("inputs", "changes"),
    [((ENVIRONMENT, STATE), {}), ((ENVIRONMENT, STATE), {"normalization_mapping": MEANT}), ((IMAGE, STATE), {})],
    ids=["keypoints", "keypoints as they are", "pictures"],
)
def test_the_prediction_is_lerobots(tmp_path, inputs, changes):
    policy = load(families.save_act(tmp_path / "act", *inputs, **changes))
    rng = np.random.default_rng(0)
    seen = {
        name: rng.random((3, 1, *shape), dtype=np.float32) * (1 if name == IMAGE else 512)
        for name, shape in policy.inputs.items()
    }
    given = policy.encode({name: np.float32(values) for name, values in seen.items()})
    chunks = policy.to_px(policy.sample(given, [[0, 1]] * 3).double().numpy())
    assert chunks.shape == (3, 2, 6, 2)
    assert (policy.horizon, policy.current, policy.observation_indices) == (6, 0, (0,))
    for k in range(3):
        batch = policy.preprocess({name: torch.from_numpy(np.float32(values[k])) for name, values in seen.items()})
        policy.policy.reset()
        acted = policy.postprocess(policy.policy.select_action(batch)).numpy()
        np.testing.assert_allclose(chunks[k, :, policy.current], np.repeat(acted, 2, axis=0), atol=1e-4)
        assert policy.executed_actions == len(policy.policy._action_queue) + 1
    grid = Grid(8)
    assert Distance().score(policy, given, chunks, grid, 0).values.shape == (3, 8, 8)
    with pytest.raises(
        UserError, match=r"needs a density .* width that its loss implies .* choose --scoring-method distance"
    ):
        Likelihood().evaluations(policy, grid)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temporal_ensemble_coeff": 0.01, "n_action_steps": 1}, "mean of predictions from earlier observations"),
        ({"n_obs_steps": 2}, "n_obs_steps 2; it is a whole number from 1 to 1"),
        ({"input_features": {ENVIRONMENT: {"type": "ENV", "shape": [16]}}}, "does not take observation.state"),
        ({"chunk_size": "<gone>"}, "lacks chunk_size"),
    ],
)
def test_configs_that_would_be_misread_are_refused(tmp_path, changes, message):
    folder = families.save_act(tmp_path / "act")
    edit_config(folder, **changes)
    with pytest.raises(UserError, match=message):
        load(folder)
