"""A policy acts as LeRobot's own evaluation lets it act: the same actions, rewards and ends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support import stub

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ENVIRONMENT, IMAGE, STATE
from dlscore.episodes.replay import replay
from dlscore.policy.load import load_policy
from dlscore.pusht.env import make_env, render_image
from dlscore.pusht.geometry import keypoints_of_pose
from dlscore.rollout.act import check_policy, roll_out
from dlscore.rollout.settings import RolloutError, RolloutSettings

STEPS = 20


def evaluate(folder, obs_type: str, seed: int, count: int, recording: Path | None = None) -> dict[str, np.ndarray]:
    """What `lerobot-eval --seed=seed --eval.n_episodes=count --eval.batch_size=count` does, as its `eval_main` does it."""
    import gym_pusht  # noqa: F401  registers the environment
    from lerobot.configs.policies import PreTrainedConfig
    from lerobot.envs.configs import PushtEnv
    from lerobot.envs.factory import make_env, make_env_pre_post_processors
    from lerobot.policies.factory import make_policy, make_pre_post_processors
    from lerobot.scripts.lerobot_eval import rollout
    from lerobot.utils.random_utils import set_seed

    config = PreTrainedConfig.from_pretrained(folder)
    config.pretrained_path, config.device = folder, "cpu"
    world = PushtEnv(obs_type=obs_type, episode_length=STEPS)
    set_seed(seed)
    env = make_env(world, n_envs=count, use_async_envs=False)["pusht"][0]
    policy = make_policy(cfg=config, env_cfg=world).eval()
    sides = make_pre_post_processors(policy_cfg=config, pretrained_path=str(folder))
    with torch.no_grad():
        sides = (*make_env_pre_post_processors(env_cfg=world, policy_cfg=config), *sides)
        options = {} if recording is None else {"recording_dir": recording, "env_features": world.features}
        found = rollout(env, policy, *sides, seeds=list(range(seed, seed + count)), **options)
    env.close()
    return {name: values.numpy() for name, values in found.items()}


@pytest.mark.parametrize(
    ("seeds", "environments"), [((16,), 1), ((3, 4), 3)], ids=["one alone", "two of a batch of three"]
)
def test_actions_and_rewards_are_those_of_lerobots_evaluation(quick_policy_folder, seeds, environments):
    lerobots = evaluate(quick_policy_folder, "environment_state_agent_pos", seeds[0], environments)
    policy = load_policy(str(quick_policy_folder), device="cpu")
    runs = roll_out(policy, seeds, RolloutSettings(seeds, environments, STEPS))
    for k, run in enumerate(runs):
        assert len(run) == STEPS
        np.testing.assert_allclose(run.action, lerobots["action"][k], rtol=0, atol=1e-4)
        np.testing.assert_allclose(run.reward, lerobots["reward"][k], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(run.success, lerobots["success"][k])
    assert np.abs(np.diff(lerobots["action"], axis=1)).max() > 1


def test_what_lerobot_eval_records_is_a_data_set_of_executed_actions(quick_policy_folder, tmp_path):
    lerobots = evaluate(quick_policy_folder, "environment_state_agent_pos", 16, 1, tmp_path / "recorded")
    episode = open_dataset(root=tmp_path / "recorded").load(0)
    assert episode.executed_by == "a policy recorded by lerobot-eval"
    assert episode.pose_source == "keypoints (observation.environment_state)"
    assert sorted(episode.outcome) == ["reward", "success"]
    np.testing.assert_allclose(episode.outcome["reward"], lerobots["reward"][0], atol=1e-6)
    np.testing.assert_allclose(episode.action, lerobots["action"][0], atol=1e-4)
    # Without a seed the start has no velocity, and this block has one: a little is lost.
    assert 0.01 < max(step.drift["block_px"] for step in replay(episode)) < 2


def test_a_policy_that_sees_pictures_acts_so_too(tmp_path):
    folder = stub.save_policy(tmp_path / "policy", **stub.image_config(num_inference_steps=2))
    (run,) = roll_out(load_policy(str(folder), device="cpu"), (5,), RolloutSettings((5,), 1, STEPS))
    lerobots = evaluate(folder, "pixels_agent_pos", 5, 1)
    np.testing.assert_allclose(run.action, lerobots["action"][0], rtol=0, atol=1e-4)
    env = make_env()
    env.reset(seed=5)
    np.testing.assert_array_equal(run.observations[IMAGE][0].transpose(1, 2, 0), render_image(env))


def test_each_step_says_which_action_of_which_chunk_it_is(policy, monkeypatch):
    drawn = []
    sample = policy.policy.diffusion.conditional_sample

    def kept(*args, **options):
        drawn.append(sample(*args, **options))
        return drawn[-1]

    monkeypatch.setattr(policy.policy.diffusion, "conditional_sample", kept)
    (run,) = roll_out(policy, (0,), RolloutSettings((0,), 1, STEPS))
    assert run.chunk.tolist() == [step // 8 for step in range(STEPS)]
    assert run.entry.tolist() == [1 + step % 8 for step in range(STEPS)]
    for step in range(STEPS):
        action = policy.to_px(drawn[run.chunk[step]][0, run.entry[step]].numpy())
        np.testing.assert_allclose(run.action[step], action, atol=1e-3)


def test_an_episode_ends_with_its_success(policy, monkeypatch):
    from gym_pusht.envs.pusht import PushTEnv

    monkeypatch.setattr(PushTEnv, "_get_coverage", lambda env: 0.96 if env.agent.position[0] < 200 else 0.475)
    (run,) = roll_out(policy, (0,), RolloutSettings((0,), 1, 300))
    assert run.succeeded
    assert run.success.tolist() == [False] * (len(run) - 1) + [True]
    np.testing.assert_allclose(run.reward, [0.5] * (len(run) - 1) + [1.0])


def test_what_is_recorded_is_the_world_before_each_action(policy):
    (run,) = roll_out(policy, (16,), RolloutSettings((16,), 1, 5))
    np.testing.assert_array_equal(run.observations[STATE], run.state[:, :2].astype(np.float32))
    expected = keypoints_of_pose(run.state[:, 2:]).reshape(5, 16)
    np.testing.assert_allclose(run.observations[ENVIRONMENT], expected, atol=1e-3)


def test_noise_of_others_is_left_alone(policy):
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    roll_out(policy, (0,), RolloutSettings((0,), 1, 2))
    torch.testing.assert_close(torch.randn(3), expected, atol=0, rtol=0)


def test_a_policy_that_gym_pusht_cannot_serve_is_refused(tmp_path):
    two = stub.save_policy(tmp_path / "two", **stub.image_config("observation.images.a", "observation.images.b"))
    with pytest.raises(RolloutError, match="takes several cameras"):
        check_policy(load_policy(str(two), device="cpu"))


def test_a_policy_that_has_scored_is_refused(policy):
    policy.sample(torch.zeros(1, 36), [[0]])
    with pytest.raises(RolloutError, match="has scored already; load it anew"):
        check_policy(policy)
