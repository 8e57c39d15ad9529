"""What a sampler executes of Gaussian data is exact, and each chunk's posterior becomes the kernel that follows."""

import numpy as np
import pytest
import torch

from dlscore.certify import analytic_policy, mixtures
from dlscore.grid import Grid
from dlscore.policy.sampler_steps import gaussian_path, sampler_steps
from dlscore.scores.base import ScorerError
from dlscore.scores.denoise import Posterior
from dlscore.scores.executed import NARROWEST, execute, find_clip, find_execution, sampler_bias, visited_timesteps
from dlscore.scores.likelihood import QUALITIES, Likelihood
from dlscore.scores.solver import data_gain, data_variances

ONE = mixtures.gaussians("", [[0.2, -0.3]], 0.1)
NODES = (77, 59, 37, 20, 9, 4)  # of 100 cosine timesteps
VARIANCES = data_variances()


def make_policy(schedule="cosine"):
    return analytic_policy.make_policy(ONE, schedule)


def executed_variances(policy):
    return gaussian_path(sampler_steps(policy.scheduler, policy.sampler_steps).steps, 0.0, VARIANCES)[1][-1]


def make_posterior(covariance, mean, residual):
    """One chunk whose posterior is the same and independent at all times."""
    whole = torch.tensor(np.broadcast_to(mean, (1, 1, 16, 2)).copy())
    square = covariance @ covariance
    blocks = [each[None, None] for each in (covariance, square, covariance @ square)]
    return Posterior(whole, *blocks, np.asarray(residual)[None, None])


@pytest.mark.parametrize("schedule", ["cosine", "cosine-fixed_large", "cosine-sample"])
def test_the_kernel_and_the_spread_of_means_add_up_to_what_is_executed(schedule):
    policy = make_policy(schedule)
    found, noise = find_execution(policy, "executed", NODES), policy.levels
    for k, t in enumerate(NODES):
        gain = data_gain(VARIANCES, noise[t])
        kernel = found.ratios[k] * gain * noise[t] ** 2
        np.testing.assert_allclose(kernel + gain**2 * found.deviations[k] ** 2, executed_variances(policy), rtol=1e-5)
        if schedule != "cosine-fixed_large":  # which adds more noise than the posterior has
            assert (found.deviations[k] ** 2 <= (VARIANCES + noise[t] ** 2) * 1.001).all()
    np.testing.assert_array_equal(found.shrinkage, 0)


def test_of_the_model_nothing_is_changed():
    policy = make_policy()
    found, noise = find_execution(policy, "model", NODES), policy.levels[list(NODES), None]
    np.testing.assert_array_equal(found.ratios, 1)
    np.testing.assert_array_equal(found.shrinkage, 0)
    np.testing.assert_allclose(found.deviations**2, VARIANCES + noise**2)
    covariance = np.array([[0.004, 0.001], [0.001, 0.002]])
    moves, kernel = execute(make_posterior(covariance, [0, 0], [1.0, 2.0]), found, 3, 0.35)
    np.testing.assert_array_equal(moves, 0)
    np.testing.assert_allclose(kernel[0, 0], covariance, rtol=1e-9)


@pytest.mark.parametrize("schedule", ["ddim", "cosine-50-steps"])
def test_where_a_sampler_does_not_come_or_adds_no_noise_both_parts_shrink(schedule):
    policy = make_policy(schedule)
    found, noise = find_execution(policy, "executed", NODES), policy.levels
    ratio = executed_variances(policy) / VARIANCES
    visited = set(visited_timesteps(policy, "executed")) if schedule != "ddim" else set()
    shrunk = [k for k, t in enumerate(NODES) if t not in visited]
    assert shrunk
    for k in shrunk:
        np.testing.assert_allclose(found.ratios[k], ratio)
        np.testing.assert_allclose(found.shrinkage[k], 1 - np.sqrt(ratio))
        np.testing.assert_allclose(found.deviations[k] ** 2, VARIANCES + noise[NODES[k]] ** 2)


@pytest.mark.parametrize("schedule", ["cosine", "ddim"])
@pytest.mark.parametrize("index", [20, 35, 45])
def test_white_noise_is_executed_exactly(schedule, index):
    policy = make_policy(schedule)
    node, variance = 3, VARIANCES[index]
    found, v = find_execution(policy, "executed", NODES), policy.levels[NODES[node]]
    gain, mean, y = data_gain(variance, v), np.array([0.2, -0.3]), np.array([0.45, 0.1])
    denoised, c = mean + gain * (y - mean), gain * v**2
    moves, kernel = execute(make_posterior(c * np.eye(2), denoised, c * (y - denoised)), found, node, v)
    np.testing.assert_allclose(kernel[0, 0], found.ratios[node, index] * c * np.eye(2), rtol=1e-6, atol=1e-12)
    # Shrunk, the mean comes nearer to that of the data: nothing else keeps F of λ.
    shrunk = mean + (1 - found.shrinkage[node, index]) * (denoised - mean)
    np.testing.assert_allclose(denoised + moves[0, 0], shrunk, rtol=1e-6)
    if schedule == "ddim":
        executed = executed_variances(policy)[index]
        spread = (1 - found.shrinkage[node, index]) ** 2 * gain**2 * found.deviations[node, index] ** 2
        assert kernel[0, 0, 0, 0] + spread == pytest.approx(executed, rel=1e-6)


def test_kernels_turn_with_the_posterior():
    policy = make_policy()
    found, v = find_execution(policy, "executed", NODES), policy.levels[20]
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    plain = np.diag([0.004, 0.001])
    _, one = execute(make_posterior(plain, [0, 0], [0, 0]), found, 3, v)
    _, two = execute(make_posterior(turn @ plain @ turn.T, [0, 0], [0, 0]), found, 3, v)
    np.testing.assert_allclose(two[0, 0], turn @ one[0, 0] @ turn.T, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("density", ["executed", "model"])
@pytest.mark.parametrize("covariance", [-0.01 * np.eye(2), np.zeros((2, 2)), 0.5 * np.eye(2)], ids=["-", "0", "+"])
def test_covariances_that_cannot_be_stay_finite_and_positive(density, covariance):
    policy = make_policy()
    moves, kernel = execute(
        make_posterior(covariance, [0, 0], [0.1, 0]), find_execution(policy, density, NODES), 3, 0.35
    )
    assert np.isfinite(moves).all()
    assert np.linalg.eigvalsh(kernel[0, 0]).min() >= 0.999 * NARROWEST**2


def test_clipping_and_timesteps_are_the_samplers():
    policy = make_policy("cosine-clip-2")
    assert find_clip(policy, "executed") == 2
    assert find_clip(policy, "model") is None
    assert find_clip(make_policy("cosine-unclipped"), "executed") is None
    assert visited_timesteps(make_policy("cosine-25-steps"), "executed") == tuple(range(0, 100, 4))
    assert visited_timesteps(policy, "model") == tuple(range(100))


@pytest.mark.parametrize("schedule", ["ddim-10-steps", "cosine-25-steps", "cosine-20", "laplace-1000"])
@pytest.mark.parametrize("node", [4, 8, 12])
def test_a_sampler_too_far_from_its_network_is_refused_wherever_the_last_level_is(schedule, node):
    policy = make_policy(schedule)
    nodes = (19, 15, node)
    find_execution(policy, "model", nodes)
    with pytest.raises(ScorerError, match=rf"of {policy.sampler_steps} steps makes actions that have 0\.[567]"):
        find_execution(policy, "executed", nodes)


def test_actions_wider_than_the_network_models_are_refused_too():
    policy = analytic_policy.make_policy(ONE, "cosine-fixed_large", num_inference_steps=25)
    with pytest.raises(ScorerError, match=r"of 25 steps makes actions that have 1\.2"):
        find_execution(policy, "executed", NODES)


@pytest.mark.parametrize(("steps", "first"), [(40, 78), (51, 50)])
def test_a_sampler_that_starts_where_data_show_is_refused(steps, first):
    policy = analytic_policy.make_policy(ONE, "ddim", num_inference_steps=steps)
    # Of DDIM, whose steps keep it, the shift is that of the start: α μ, where the deviation is 1.
    shift = policy.noise_level(first)[0]
    told = rf"of {steps} steps .* off by {shift:.2f} of .* timestep {first} of 0 to 99.* num_inference_steps that divides 100"
    with pytest.raises(ScorerError, match=told):
        find_execution(policy, "executed", NODES)
    find_execution(policy, "model", NODES)
    find_execution(make_policy("ddim-50-steps"), "executed", NODES)


def test_the_bias_of_means_that_shrink_is_told_and_others_have_none():
    biases = {
        name: find_execution(make_policy(name), "executed", NODES).bias for name in ("cosine", "ddim", "ddim-50-steps")
    }
    assert biases["cosine"] == find_execution(make_policy("ddim"), "model", NODES).bias == 0
    assert 0 < biases["ddim"] < biases["ddim-50-steps"]


@pytest.mark.parametrize(("schedule", "told"), [("ddim", [0.0, 0.7, 0.7]), ("cosine", [0.0, 0.0, 0.0])])
def test_chunks_whose_mode_is_beyond_the_clip_are_told_where_the_sampler_makes_them_drift(schedule, told):
    policy = make_policy(schedule)
    clip, found = find_clip(policy, "executed"), find_execution(policy, "executed", NODES)
    # Of four chunks: tails of modes within the clip; a half, and all, on the inner side of modes beyond it.
    place = np.array([[[1.2, 0], [0.5, -1.3], [-0.2, 0.9], [0.8, 0.8]], [[0.9, 0], [0.1, -0.8], [1.3, 0], [0, -1.4]],
                      [[0.9, 0], [0.1, -0.8], [0.2, 0.9], [0, -0.9]]])  # fmt: skip
    predicted = np.array([[[1.1, 0], [0.4, -1.1], [-0.2, 0.9], [0.9, 0.7]], [[1.1, 0], [0.1, -1.1], [1.2, 0], [0, -1.2]],
                          [[1.1, 0], [0.1, -1.1], [0.2, 1.1], [0, -1.1]]])  # fmt: skip
    np.testing.assert_allclose(sampler_bias(policy, found, clip, place, predicted), np.hypot(found.bias, told))
    np.testing.assert_array_equal(sampler_bias(policy, found, None, place, predicted), found.bias)


def test_the_error_tells_of_modes_beyond_the_clip():
    modes = next(each for each in mixtures.MIXTURES if each.name == "two at the edges")
    errors = {}
    for schedule in ("cosine", "ddim"):
        policy = analytic_policy.make_policy(modes, schedule, clip_sample_range=0.8)
        scores = Likelihood(**QUALITIES["draft"]).score(
            policy, analytic_policy.encode_observation(policy), np.empty(0), Grid(25), 0
        )
        errors[schedule] = scores.checks["error"][0]
    assert errors["cosine"] < 0.1
    assert errors["ddim"] > 0.5  # its own draws are far from the edge, where DDPM's are


def test_a_mean_between_modes_moves_no_farther_than_that_of_even_data():
    policy = make_policy("ddim")
    found, v = find_execution(policy, "executed", NODES), policy.levels[20]
    # The posterior of a chunk between two modes is as wide as they are apart, and says nothing of where the data lie.
    moves = [
        np.linalg.norm(execute(make_posterior(c * np.eye(2), [0, 0], c * np.array([0.3, 0])), found, 3, v)[0])
        for c in np.array([0.5, 0.8, 0.97, 1.5]) * v**2
    ]
    shrinkage = found.shrinkage[3, np.abs(VARIANCES - 1 / 3).argmin()]
    assert moves[0] < moves[1]
    assert moves[1:] == pytest.approx([0.3 * shrinkage / 3 / v**2] * 3, rel=0.02)
