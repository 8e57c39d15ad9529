"""The steps of a sampler as numbers, and what they make of Gaussians."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler

from dlscore.policy.errors import PolicyError
from dlscore.policy.sampler_steps import SamplerStep, SamplerSteps, gaussian_gain, gaussian_path, sampler_steps

COSINE = {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 100}
SCHEDULERS = [
    DDPMScheduler(**COSINE),
    DDPMScheduler(**COSINE, variance_type="fixed_large", clip_sample=False),
    DDPMScheduler(**COSINE, variance_type="fixed_small_log", clip_sample_range=2.0),
    DDPMScheduler(beta_schedule="laplace", num_train_timesteps=50, prediction_type="sample", clip_sample_range=0.7),
    DDPMScheduler(beta_schedule="sigmoid", num_train_timesteps=100),
    DDIMScheduler(**COSINE),
    DDIMScheduler(beta_schedule="linear", num_train_timesteps=200, prediction_type="sample"),
    DDIMScheduler(beta_schedule="scaled_linear", num_train_timesteps=100, clip_sample=False),
]


@pytest.mark.parametrize("count", [50, 7])
@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda each: type(each).__name__ + each.config.beta_schedule)
def test_a_step_is_the_schedulers_own(scheduler, count):
    sampler = sampler_steps(scheduler, count)
    scheduler.set_timesteps(count)
    assert [step.t for step in sampler] == scheduler.timesteps.tolist()
    x, clean = torch.randn(2, 200, 16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    for step in sampler:
        given = clean if scheduler.config.prediction_type == "sample" else (x - step.alpha * clean) / step.sigma
        expected = scheduler.step(given, step.t, x, generator=torch.Generator().manual_seed(1)).prev_sample
        noise = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(sampler.advance(step, clean, x, noise), expected, atol=1e-6, rtol=0)


def test_the_last_step_is_the_clipped_prediction_without_noise():
    for scheduler in SCHEDULERS:
        last = sampler_steps(scheduler, 20)[-1]
        np.testing.assert_allclose(last[1:4], (1, 0, 0), atol=1e-6)


def test_the_scheduler_stays_as_it_is():
    scheduler = DDIMScheduler(**COSINE)
    scheduler.set_timesteps(10)
    before = scheduler.timesteps.clone()
    sampler_steps(scheduler, 100)
    assert torch.equal(scheduler.timesteps, before)


def test_numpy_and_torch_take_the_same_step():
    sampler = sampler_steps(DDIMScheduler(**COSINE), 10)
    clean, x = np.array([[-3.0, 0.4]]), np.array([[0.2, -1.0]])
    np.testing.assert_allclose(
        sampler.advance(sampler[3], clean, x), sampler.advance(sampler[3], torch.tensor(clean), torch.tensor(x))
    )


def test_a_point_is_reached_and_a_given_x_narrows_the_result():
    sampler = sampler_steps(DDPMScheduler(**COSINE), 100)
    means, variances = gaussian_path(sampler.steps, 0.3, 0.0)
    assert (means[0], variances[0]) == (0, 1)
    assert means[-1] == pytest.approx(0.3, abs=1e-5)
    assert variances[-1] == pytest.approx(0, abs=1e-9)
    given = gaussian_path(sampler.steps[90:], 0.3, 0.01, start_mean=0.1, start_variance=0.0)[1][-1]
    assert 0 < given < gaussian_path(sampler.steps, 0.3, 0.01)[1][-1] < 0.01  # fixed_small is narrower than the data


def test_the_law_of_the_total_variance_holds_at_every_step():
    # What the whole sampler makes is, at each x_t, the spread of the conditional means and the conditional variance.
    sampler = sampler_steps(DDPMScheduler(**COSINE), 50)
    means, variances = gaussian_path(sampler.steps, -0.2, 0.05)
    for k in (1, 20, 49):
        low, spread = gaussian_path(sampler.steps[k:], -0.2, 0.05, 0.0, 0.0)
        high, _ = gaussian_path(sampler.steps[k:], -0.2, 0.05, 1.0, 0.0)
        slope = high[-1] - low[-1]
        assert low[-1] + slope * means[k] == pytest.approx(means[-1], abs=1e-12)
        assert slope**2 * variances[k] + spread[-1] == pytest.approx(variances[-1], rel=1e-10)


def test_a_gaussian_is_what_many_chunks_become():
    sampler = sampler_steps(DDPMScheduler(**COSINE, clip_sample=False), 20)
    rng = np.random.default_rng(0)
    mean, variance = np.array([0.4, -0.1]), np.array([0.04, 0.5])
    x = rng.standard_normal((100_000, 2))
    for step in sampler:
        clean = mean + gaussian_gain(step, variance) * (x - step.alpha * mean)
        x = sampler.advance(step, clean, x, rng.standard_normal(x.shape))
    means, variances = gaussian_path(sampler.steps, mean, variance)
    np.testing.assert_allclose(x.mean(axis=0), means[-1], atol=0.005)
    np.testing.assert_allclose(x.var(axis=0), variances[-1], rtol=0.02)


def test_euler_steps_of_a_flow_fit():
    # x_s = (1 - s) x₀ + s ε; dx/ds = (x - x̂₀) / s (Lipman et al. 2023): an exact flow carries N(0, 1) to the data.
    times = np.linspace(1, 0, 2001)[:-1]
    h = 1 / 2000
    steps = [SamplerStep(k, h / s, 1 - h / s, 0.0, 1 - s, s, h / s) for k, s in enumerate(times)]
    means, variances = gaussian_path(SamplerSteps(tuple(steps), None).steps, 0.5, np.array([0.01, 0.3]))
    np.testing.assert_allclose(means[-1], 0.5, atol=1e-3)
    np.testing.assert_allclose(variances[-1], [0.01, 0.3], rtol=0.02)


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (EulerDiscreteScheduler(), "sampler EulerDiscreteScheduler is not known"),
        (DDPMScheduler(prediction_type="v_prediction"), "prediction_type 'v_prediction' of the policy's DDPMScheduler"),
        (DDPMScheduler(thresholding=True), "thresholding True of the policy's DDPMScheduler"),
        (
            DDPMScheduler(variance_type="learned_range"),
            "it must be 'fixed_small' or 'fixed_small_log' or 'fixed_large'",
        ),
        (
            DDIMScheduler(rescale_betas_zero_snr=True, num_train_timesteps=50),
            "timestep 49 of the policy's noise schedule",
        ),
    ],
)
def test_what_is_not_known_is_refused(scheduler, message):
    with pytest.raises(PolicyError, match=message):
        sampler_steps(scheduler, 50)
