"""The density that a sampler executes: exact for a Gaussian, counted for all else."""

import numpy as np
import pytest
import torch

from dlscore.certify import executed, mixtures, own_draws
from dlscore.certify.analytic_policy import encode_observation, make_policy
from dlscore.certify.denoiser import Denoiser
from dlscore.certify.errors import CertifyError
from dlscore.certify.metrics import above_noise, total_variation
from dlscore.grid import Grid
from dlscore.policy.sampler_steps import sampler_steps

GRID = Grid(50)
BY_NAME = {each.name: each for each in mixtures.MIXTURES}


def sampler_of(policy):
    return sampler_steps(policy.scheduler, policy.sampler_steps)


@pytest.mark.parametrize("schedule", ["cosine-20", "ddim-10-steps", "cosine-sample", "linear-20"])
@pytest.mark.parametrize("name", ["four with two at the edge", "banana"])
def test_own_draws_are_the_policys_from_the_same_noise(name, schedule):
    policy = make_policy(BY_NAME[name], schedule)
    seeds = [3, 7, 20, 21, 22, 23]
    expected = policy.sample(encode_observation(policy), [seeds])[0]
    streams = [torch.Generator().manual_seed(seed) for seed in seeds]

    def noise():
        chunks = torch.stack([torch.randn(policy.horizon, 2, generator=stream) for stream in streams])
        return chunks.permute(2, 1, 0).contiguous()

    drawn = own_draws.run_sampler(Denoiser(BY_NAME[name], torch.float32), sampler_of(policy), noise(), noise)
    torch.testing.assert_close(drawn.permute(2, 1, 0), expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", ["one", "three of different width", "ring"])
def test_single_precision_denoises_as_double_does(name):
    mixture, stream = BY_NAME[name], torch.Generator().manual_seed(0)
    for alpha in (0.01, 0.7, 0.99, 0.9999):
        sigma = (1 - alpha**2) ** 0.5
        noise = torch.randn(48, 16, 2, generator=stream, dtype=torch.float64)
        x = alpha * torch.tensor(mixture.chunks).repeat(48 // len(mixture.weights), 1, 1) + sigma * noise
        single = Denoiser(mixture, torch.float32)(x, alpha, sigma)
        torch.testing.assert_close(single, Denoiser(mixture)(x, alpha, sigma), atol=2e-5, rtol=0)


@pytest.mark.parametrize("schedule", ["ddim-10-steps", "cosine-20", "linear-20"])
@pytest.mark.parametrize("name", ["one", "one anisotropic"])
def test_a_gaussian_is_executed_as_its_own_draws_say(name, schedule):
    mixture = BY_NAME[name]
    policy = make_policy(mixture, schedule, clip_sample=False)
    exact = executed.executed_mixture(mixture, sampler_of(policy))
    drawn = own_draws.draw_actions(mixture, sampler_of(policy), 40_000, 1)
    deviation = np.sqrt(np.diag(exact.covariances[0]))
    np.testing.assert_allclose(drawn.mean(axis=0), exact.centres[0], atol=0.02 * deviation.max())
    np.testing.assert_allclose(np.cov(drawn.T), exact.covariances[0], atol=0.03 * deviation.max() ** 2)
    counted = executed.count_draws(policy.to_px(drawn), GRID)
    truth = np.exp(exact.log_masses(policy, GRID))
    assert above_noise(total_variation(np.exp(counted.log_masses), truth), counted.noise) < 0.012
    model = np.exp(mixture.log_masses(policy, GRID))
    assert total_variation(truth, model) > 0.05  # none of these executes what it models


def test_many_steps_execute_what_is_modelled():
    mixture = BY_NAME["one wide"]
    policy = make_policy(mixture, "linear-1000", clip_sample=False)
    exact = executed.executed_mixture(mixture, sampler_of(policy))
    np.testing.assert_allclose(exact.covariances, mixture.covariances, rtol=0.02)
    np.testing.assert_allclose(exact.centres, mixture.centres, atol=1e-4)


def test_the_noise_is_what_chance_makes():
    policy, rng = make_policy(BY_NAME["one wide"]), np.random.default_rng(0)
    truth = np.exp(BY_NAME["one wide"].log_masses(policy, GRID))
    counts = rng.multinomial(100_000, np.append(truth.ravel(), 1 - truth.sum()), size=20)[:, :-1]
    histograms = counts.reshape(-1, 50, 50) / 100_000
    noises = [executed.histogram_noise(each, 100_000) for each in histograms]
    assert np.mean([total_variation(each, truth) for each in histograms]) == pytest.approx(np.mean(noises), rel=0.01)
    first, second, noise = *histograms[:2], noises[0]
    assert total_variation(first, second) / np.sqrt(2) == pytest.approx(noise, rel=0.05)
    assert above_noise(total_variation(first, truth), noise) < 0.01
    assert above_noise(0.05, 0.03) == pytest.approx(0.04)
    assert above_noise(0.03, 0.04) == 0
    moved = np.roll(truth, 1, axis=1)
    found = above_noise(total_variation(first, moved), noise)
    assert found == pytest.approx(total_variation(truth, moved), abs=0.006)


def test_what_falls_outside_the_grid_is_counted_but_has_no_cell():
    counted = executed.count_draws(np.array([[5.0, 5.0], [511.9, 300.0], [600.0, 5.0], [-0.1, 5.0]]), Grid(2))
    np.testing.assert_allclose(np.exp(counted.log_masses), [[0.25, 0], [0, 0.25]])


def test_clipping_is_bounded():
    inside, wide = (BY_NAME[name] for name in ("one narrow", "one wide"))
    sampler = sampler_of(make_policy(inside))
    assert executed.clip_probability(inside, sampler) < 1e-9
    assert executed.clip_probability(wide, sampler) > 0.01
    assert executed.clip_probability(wide, sampler_of(make_policy(wide, "cosine-unclipped"))) == 0


def test_the_last_step_returns_nothing_beyond_its_range(tmp_path):
    one = BY_NAME["one"]
    clipped, free = (
        executed.find_truth("executed", one, make_policy(one, name), GRID, tmp_path).log_masses
        for name in ("ddim-10-steps", "cosine-unclipped")
    )
    assert np.isinf(clipped[:, 0]).all()  # the cells up to x = 10.24 px, where the range begins at 12
    assert np.isfinite(clipped[1:, 1:]).all()
    assert np.isfinite(free).all()


def test_only_what_is_not_exact_is_drawn_and_only_once(tmp_path):
    one, four = BY_NAME["one narrow"], BY_NAME["four"]
    policy = make_policy(one, "ddim-10-steps")
    assert executed.find_truth("executed", one, policy, GRID, tmp_path).noise == 0
    assert executed.find_truth("model", four, policy, GRID, tmp_path).noise == 0
    assert not list(tmp_path.iterdir())
    sampler = sampler_of(policy)
    drawn = own_draws.stored_draws(four, sampler, 3000, 0, tmp_path)
    (file,) = tmp_path.glob("*.npy")
    np.save(file, np.zeros((3000, 2), dtype=np.float32))
    assert not own_draws.stored_draws(four, sampler, 3000, 0, tmp_path).any()
    file.write_bytes(b"damaged")
    assert np.array_equal(own_draws.stored_draws(four, sampler, 3000, 0, tmp_path), drawn)
    for changed in ((four, sampler, 3000, 1), (BY_NAME["four wide"], sampler, 3000, 0), (four, sampler, 2000, 0),
                    (four, sampler_of(make_policy(four, "ddim-sample")), 3000, 0)):  # fmt: skip
        own_draws.stored_draws(*changed, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_draws_need_a_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CertifyError, match="choose another folder"):
        own_draws.stored_draws(BY_NAME["one"], sampler_of(make_policy(BY_NAME["one"], "ddim-10-steps")), 10, 0,
                               tmp_path / "file")  # fmt: skip
