"""Every schedule makes a policy of LeRobot's whose steps are known."""

import pytest

from dlscore.certify import mixtures, schedules
from dlscore.certify.analytic_policy import make_policy
from dlscore.certify.errors import CertifyError
from dlscore.policy.sampler_steps import sampler_steps


def test_every_schedule_is_one_that_lerobot_takes():
    for name, changes in schedules.SCHEDULES.items():
        policy = make_policy(mixtures.MIXTURES[1], name)
        assert len(policy.alphas_cumprod) == changes.get("num_train_timesteps", 100)
        assert policy.scheduler.config.get("variance_type", "fixed_small") == changes.get(
            "variance_type", "fixed_small"
        )
        if len(policy.alphas_cumprod) < 1000:
            assert len(sampler_steps(policy.scheduler, policy.sampler_steps)) == policy.sampler_steps
    assert {"cosine", "linear-20", "sigmoid", "laplace-1000", "scaled_linear-50"} <= set(schedules.SCHEDULES)


def test_schedules_are_chosen_by_name():
    assert schedules.choose_schedules("all") == tuple(schedules.SCHEDULES)
    assert schedules.choose_schedules("linear, ddim") == ("linear", "ddim")
    assert schedules.choose_schedules(None) == ("cosine",)
    assert schedules.choose_schedules(None, "multi_task_dit") == ("flow",)
    with pytest.raises(CertifyError, match="invalid value 'lineal' for --schedule; did you mean linear"):
        schedules.choose_schedules("lineal")
