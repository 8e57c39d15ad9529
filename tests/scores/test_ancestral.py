"""The sampler's own steps, fewer and longer: exact for Gaussians, and what is used where a network does not denoise."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures
from dlscore.certify.metrics import total_variation
from dlscore.grid import Grid
from dlscore.scores import solve
from dlscore.scores.ancestral import AncestralStep, fit_ancestral, gaussian_deviations
from dlscore.scores.likelihood import Likelihood
from dlscore.scores.solver import data_variances

NOISE = np.array([3.9, 2.0, 1.0, 0.5, 0.25, 0.12, 0.06])
AIMS = np.sqrt(data_variances() + NOISE[:, None] ** 2)
VISIBLE = np.sqrt(data_variances()) > 0.02  # wider than half of the last level's noise


def moved(steps, deviation, count=100_000):
    """The deviation of y after all steps, of Gaussian data of mean 0.2, by simulation: its data prediction is linear."""
    rng = np.random.default_rng(0)
    gains = deviation**2 / (deviation**2 + NOISE**2)
    y, history = torch.tensor(0.2 + NOISE[0] * rng.standard_normal((1, count))), []
    for step, gain in zip(steps, gains, strict=False):
        history.insert(0, 0.2 + gain * (y - 0.2))
        y = step.move(y, history, None, rng)
    return y.mean().item(), y.std().item()


@pytest.mark.parametrize("deviation", [0.05, 0.2, 0.7])
def test_gaussian_data_come_to_the_deviation_that_is_aimed_at(deviation):
    mean, found = moved(fit_ancestral(NOISE, AIMS), deviation)
    assert found == pytest.approx(np.hypot(deviation, NOISE[-1]), rel=0.02)
    assert mean == pytest.approx(0.2, abs=0.01)
    plain = [AncestralStep((b / a) ** 2, 0.0, b * np.sqrt(1 - (b / a) ** 2)) for a, b in pairwise(NOISE)]
    assert moved(plain, deviation)[1] < 0.9 * found  # DDPM's own step, so long


def test_the_deviations_of_gaussian_data_are_those_of_the_steps():
    steps = fit_ancestral(NOISE, AIMS)
    kept = np.array([step.kept for step in steps])
    spread = np.array([step.deviation for step in steps]) ** 2 / (NOISE[1:] ** 2 * (1 - kept))
    ahead = np.array([step.ahead for step in steps])
    predicted = gaussian_deviations(NOISE, ahead, spread)[-1]
    assert np.interp(0.2, np.sqrt(data_variances()), predicted) == pytest.approx(moved(steps, 0.2)[1], rel=0.01)
    np.testing.assert_allclose(predicted[VISIBLE], AIMS[-1][VISIBLE], rtol=0.02)


def test_predictions_are_clipped_also_where_they_are_carried_on():
    step, y = AncestralStep(0.25, 0.5, 0.0), torch.zeros(1, 1, 1, 2)
    history = [torch.full_like(y, 0.9), torch.zeros_like(y)]
    free, clipped = (step.move(y, history, clip, np.random.default_rng(0)) for clip in (None, 1.0))
    torch.testing.assert_close(free, torch.full_like(y, 0.75 * 1.35))
    torch.testing.assert_close(clipped, torch.full_like(y, 0.75))


def score(name, monkeypatch=None, schedule="cosine", density="executed"):
    mixture = next(each for each in mixtures.MIXTURES if each.name == name)
    policy, grid = analytic_policy.make_policy(mixture, schedule), Grid(50)
    if monkeypatch:
        monkeypatch.setattr(solve.Plan, "paths", lambda self, pilot: [self.ancestral] * len(pilot.denoises))
    given = analytic_policy.encode_observation(policy)
    scores = Likelihood(density).score(policy, given, np.empty(0), grid, 0)
    return np.exp(scores.values[0]) * grid.cell_area, scores, policy


@pytest.mark.parametrize("name", ["one wide", "one at the edge", "two unequal"])
def test_where_it_is_used_the_density_is_nearly_that_of_the_flow(name, monkeypatch):
    flow, *_ = score(name)
    noisy, scores, policy = score(name, monkeypatch)
    assert 0.03 < total_variation(flow, noisy) < 0.16
    assert policy.evaluations == 41 + 249 * 10  # as with the flow
    assert 0.05 < scores.checks["error"][0] < 0.2


@pytest.mark.parametrize(("schedule", "density"), [("ddim", "executed"), ("cosine", "model")])
def test_a_sampler_that_adds_no_noise_follows_the_flow(schedule, density):
    policy = analytic_policy.make_policy(mixtures.MIXTURES[0], schedule)
    plan = solve.find_plan(policy, Likelihood(density)._recipe())
    assert plan.ancestral is plan.distrusted
    assert not plan.distrusted.ancestral
