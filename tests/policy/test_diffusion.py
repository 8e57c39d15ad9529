"""A policy's inputs, sampler and units are LeRobot's own."""

import numpy as np
import pytest
import torch
from support import stub
from support.checkpoints import load

from dlscore.compute.episode import windows
from dlscore.compute.run import Run
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ENVIRONMENT, IMAGE, STATE

CAMERAS = ("observation.images.side", "observation.images.top")


def test_windows_reach_the_network_as_lerobot_makes_them(policy, dataset, dataset_folder):
    from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
    from lerobot.datasets.factory import resolve_delta_timestamps
    from torch.utils.data import DataLoader

    deltas = resolve_delta_timestamps(policy.config, LeRobotDatasetMetadata("tiny", root=dataset_folder))
    lerobots = LeRobotDataset("tiny", root=dataset_folder, episodes=[1], delta_timestamps=deltas, video_backend="pyav")
    batch = policy.preprocess(next(iter(DataLoader(lerobots, batch_size=len(lerobots)))))
    theirs = torch.cat([batch[STATE], batch[ENVIRONMENT]], dim=-1).flatten(1)
    ours = policy.encode(windows(policy, dataset.load(1, policy.inputs), slice(0, len(lerobots))))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_sample_is_lerobots_sampler(policy):
    conditioning = torch.randn(1, 36, generator=torch.Generator().manual_seed(1))
    chunk = policy.sample(conditioning, [[7]])[0, 0]
    stream = torch.Generator().manual_seed(7)
    noise = torch.randn(1, 16, 2, generator=stream)
    theirs = policy.policy.diffusion.conditional_sample(1, global_cond=conditioning, noise=noise, generator=stream)
    torch.testing.assert_close(chunk, theirs[0], atol=1e-5, rtol=1e-5)
    assert policy.evaluations == 100


def test_a_chunk_does_not_depend_on_its_company(policy):
    conditioning = torch.randn(2, 36, generator=torch.Generator().manual_seed(1))
    together = policy.sample(conditioning, [[7, 8, 9], [10, 11, 12]])
    alone = policy.sample(conditioning[1:], [[11]])
    torch.testing.assert_close(together[1, 1], alone[0, 0], atol=1e-4, rtol=1e-4)


def test_units_are_the_postprocessors(policy):
    normalised = np.array([[-1.0, -1.0], [1.0, 1.0], [0.3, -0.2]])
    np.testing.assert_allclose(policy.to_px(normalised)[:2], [[12, 12], [511, 511]])
    np.testing.assert_allclose(policy.from_px(policy.to_px(normalised)), normalised)
    np.testing.assert_allclose(policy.px_per_unit, 249.5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A data set with two cameras of AV1 video and keypoints."""
    return stub.save_dataset(
        tmp_path_factory.mktemp("pictures") / "data", episodes=2, steps=8, cameras=(IMAGE, *CAMERAS)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"n_obs_steps": 1, "horizon": 8, "n_action_steps": 4},
        {"n_obs_steps": 3, "horizon": 32, "prediction_type": "sample"},
        {"noise_scheduler_type": "DDIM", "num_inference_steps": 10},
        {"noise_scheduler_type": "DDIM", "prediction_type": "sample", "clip_sample": False, "num_train_timesteps": 50},
        {**stub.image_config(), "n_obs_steps": 3, "crop_shape": None},
        {**stub.image_config(*CAMERAS)},
        {**stub.image_config(*CAMERAS), "use_separate_rgb_encoder_per_camera": True, "n_obs_steps": 1},
        {**stub.image_config(), "resize_shape": (48, 48), "crop_ratio": 0.9},
        {**stub.image_config(IMAGE), "input_features": {**stub.make_config().input_features,
                                                        **stub.image_config(IMAGE)["input_features"]}},
    ],
    ids=["short", "long sample", "DDIM", "DDIM sample", "3 pictures", "2 cameras", "2 encoders", "resized", "mixed"],
)  # fmt: skip
def test_any_shape_of_policy_sees_what_lerobots_loader_gives_it(changes, pictures, tmp_path):
    """Through LeRobot's DataLoader with delta_timestamps and the policy's preprocessor: equal to 1e-6."""
    from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
    from lerobot.datasets.factory import resolve_delta_timestamps
    from torch.utils.data import DataLoader

    policy, dataset = load(stub.save_policy(tmp_path / "policy", **changes)), open_dataset(root=pictures)
    Run(policy, dataset)
    deltas = resolve_delta_timestamps(policy.config, LeRobotDatasetMetadata("tiny", root=pictures))
    lerobots = LeRobotDataset("tiny", root=pictures, episodes=[1], delta_timestamps=deltas, video_backend="pyav")
    theirs = policy.preprocess(next(iter(DataLoader(lerobots, batch_size=len(lerobots)))))
    found = windows(policy, dataset.load(1, policy.inputs), slice(0, len(lerobots)))
    ours = policy.preprocess({name: torch.as_tensor(values) for name, values in found.items()})
    for name in policy.inputs:
        # LeRobot drops the window's dimension where it is 1.
        expected = theirs[name].reshape(ours[name].shape)
        torch.testing.assert_close(
            ours[name], expected, atol=1e-6, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )
    given = policy.encode({name: values[:1] for name, values in found.items()})
    chunks = policy.sample(given, [[3]])
    assert chunks.shape == (1, 1, policy.horizon, 2)
    assert policy.current == policy.config.n_obs_steps - 1
    noisy = torch.randn(1, 4, policy.horizon, 2)
    assert torch.isfinite(policy.epsilon(noisy, 10, given)).all()


def test_the_samplers_noise_does_not_depend_on_the_global_generator(policy):
    # predict_action_chunk(noise=…) fixes x_T only; DDPM would draw the rest from torch's global generator.
    given = torch.randn(1, 36, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(1)
    one = policy.sample(given, [[7]])
    torch.manual_seed(2)
    torch.testing.assert_close(policy.sample(given, [[7]]), one, atol=0, rtol=0)
    torch.manual_seed(1)
    fixed = policy.policy.diffusion.conditional_sample(1, global_cond=given, noise=one[:, 0])
    torch.manual_seed(2)
    assert not torch.equal(policy.policy.diffusion.conditional_sample(1, global_cond=given, noise=one[:, 0]), fixed)


def test_steps_that_share_a_batch_keep_their_own_conditioning(policy):
    conditioning = torch.randn(3, 36, generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, 4, 16, 2, generator=torch.Generator().manual_seed(1))
    together = policy.epsilon(x, 8, conditioning)
    assert policy.evaluations == 12
    for batch_size in (1, 3, 8):  # parts of a step, a step, two steps
        policy.batch_size = batch_size
        torch.testing.assert_close(policy.epsilon(x, 8, conditioning), together, atol=1e-5, rtol=1e-5)
    alone = policy.epsilon(x[1:2], 8, conditioning[1:2])
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=1e-5)


def test_no_batch_is_larger_than_asked_for(policy):
    sizes = []
    policy.policy.diffusion.unet.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    policy.batch_size = 10
    policy.epsilon(torch.zeros(5, 4, 16, 2), 8, torch.zeros(5, 36))
    policy.epsilon(torch.zeros(1, 25, 16, 2), 8, torch.zeros(1, 36))
    assert sizes == [8, 8, 4, 10, 10, 5]
