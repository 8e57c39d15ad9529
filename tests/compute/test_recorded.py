"""Where the recorded action lies in the density: exactly, and calibrated if the actions are of the density."""

import numpy as np
import pytest
from support.mixed import Mixed

from dlscore.cache.reader import open_cache
from dlscore.compute.density import place_recorded
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.compute.settings import Settings
from dlscore.density.gaussians import ZERO
from dlscore.density.mixture import Mixture

GAUSSIAN = Mixture([[250.0, 260.0]], [np.diag([400.0, 900.0])], [1.0], [1.0])
BOXED = Mixture([[20.0, 260.0]], [np.diag([400.0, 900.0])], [1.0], [1.0], [[12.0, 12.0], [511.0, 511.0]]).normalised()


def place(mixture: Mixture, actions) -> dict[str, np.ndarray]:
    actions = np.asarray(actions, dtype=float)
    return place_recorded([mixture] * len(actions), actions, [[0, 0, step, 1] for step in range(len(actions))])


def test_of_a_gaussian_both_are_known():
    away = np.array([0.0, 1.0, 2.0, 3.0])  # deviations
    found = place(GAUSSIAN, GAUSSIAN.mean + away[:, None] * [0.6 * 20, 0.8 * 30])
    np.testing.assert_allclose(found["recorded_log_density"], -(away**2) / 2 - np.log(2 * np.pi * 20 * 30), atol=1e-5)
    np.testing.assert_allclose(found["recorded_rank"], 1 - np.exp(-(away**2) / 2), atol=0.05)  # of 1,000 draws
    assert (found["recorded_rank_low"] <= found["recorded_rank"]).all()
    assert (found["recorded_rank"] <= found["recorded_rank_high"]).all()
    np.testing.assert_allclose(found["recorded_rank_high"] - found["recorded_rank_low"], 1 / 1001)


@pytest.mark.parametrize("mixture", [GAUSSIAN, BOXED], ids=["free", "clipped"])
def test_draws_of_the_density_have_uniform_ranks_and_its_entropy(mixture):
    rng = np.random.default_rng(5)
    actions = rng.multivariate_normal(mixture.mean[0], mixture.covariance[0], 400)
    if mixture.box is not None:
        actions = np.clip(actions, *mixture.box)  # a third lies on the edge
        assert (actions[:, 0] == 12).mean() > 0.2
    found = place(mixture, actions)
    ordered = np.sort(found["recorded_rank"])
    assert np.abs(ordered - np.arange(1, 401) / 401).max() < 1.63 / 20  # Kolmogorov & Smirnov at 1 %
    entropy = -mixture.log_density(mixture.draw(20_000, rng))
    error = entropy.std() / 20
    assert -found["recorded_log_density"].mean() == pytest.approx(entropy.mean(), abs=3 * error)


def test_an_action_beyond_the_box_is_impossible_and_one_on_its_edge_is_not():
    found = place(BOXED, [[5.0, 260.0], [12.0, 260.0], [11.99999, 260.0]])
    assert found["recorded_log_density"][0] == ZERO
    assert found["recorded_rank_high"][0] == 1
    assert (found["recorded_log_density"][1:] > -20).all()


def test_they_are_stored_of_a_density_and_of_nothing_else(policy, dataset, tmp_path):
    from dlscore.scores.distance import Distance

    path = tmp_path / "episode_000.h5"
    compute_episode(Run(policy, dataset, Settings((Mixed(), Distance()), 8, max_steps=3, chunks=2)), 0, path)
    with open_cache(path) as cache:
        found = cache.recorded("mixed")
        assert sorted(found) == ["log_density", "rank", "rank_high", "rank_low"]
        expected = [cache.mixture("mixed", k).log_density(cache.expert_action[k].astype(float)) for k in range(3)]
        np.testing.assert_allclose(found["log_density"], expected, rtol=1e-6)
        assert cache.recorded("distance") is None
        assert set(cache.checks("mixed")) == {"error", "inside"}
