"""A converted checkpoint is the project's policy: its ε and its chunks equal those of a forward pass written from the papers."""

import json
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checkpoints import load
from support.workspaces import Run, Touch, draw, is_live, make_config, make_weights, predict, write_checkpoint

from dlscore.convert.checkpoint_file import read_checkpoint_file
from dlscore.convert.convert import convert
from dlscore.convert.errors import ConvertError
from dlscore.episodes.episode import ENVIRONMENT, STATE
from dlscore.policy.nine_keypoints import POINTS, VERTICES, weights_of_eight
from dlscore.pusht.geometry import keypoints_of_pose

# A frame of the human demonstrations (Chi et al. 2023): the block's pose, and the nine keypoints that were recorded with it.
POSE = (176.6136169, 236.5076294, 2.2284741)
RECORDED = (
    99.6875, 188.8036, 214.8308, 188.9699, 140.4816, 285.5666, 156.5634, 220.6792, 88.0131, 150.3015, 126.7682, 247.2898,
    175.1416, 184.8707, 137.1472, 184.7656, 163.5688, 256.178,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("converted")
    return convert(write_checkpoint(place / "latest.ckpt"), place / "policy").folder


def observations(rng, weights) -> tuple[dict[str, np.ndarray], torch.Tensor]:
    """(two windows as data sets have them, what the project's normaliser makes of the same world)."""
    pose = np.concatenate([100 + 300 * rng.random((2, 2, 2)), 6 * rng.random((2, 2, 1))], axis=-1)
    agent = 512 * rng.random((2, 2, 2))
    c, s = np.cos(pose[..., 2]), np.sin(pose[..., 2])
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    nine = np.einsum("bwij,kj->bwki", turn, np.array(POINTS)) + pose[..., None, :2]
    observed = torch.from_numpy(np.concatenate([nine.reshape(2, 2, 18), agent], axis=-1)).float()
    scale, offset = (weights[f"normalizer.params_dict.obs.{part}"] for part in ("scale", "offset"))
    windows = {
        STATE: agent.astype(np.float32),
        ENVIRONMENT: keypoints_of_pose(pose).reshape(2, 2, 16).astype(np.float32),
    }
    return windows, (observed * scale + offset).flatten(1)


def test_epsilon_is_the_projects(folder):
    policy, weights = load(folder), make_weights()
    windows, observed = observations(np.random.default_rng(0), weights)
    conditioning, x = policy.encode(windows), torch.randn(2, 3, 8, 2, generator=torch.Generator().manual_seed(0))
    for t in (0, 7, 19):
        wanted = [predict(weights, x[k], t, observed[k].expand(3, -1)) for k in range(2)]
        torch.testing.assert_close(policy.epsilon(x, t, conditioning), torch.stack(wanted), atol=1e-5, rtol=1e-5)


def test_a_bias_alone_is_a_bias_alone(tmp_path):
    weights = make_weights(scale=False)
    file = write_checkpoint(tmp_path / "a.ckpt", make_config(**{"policy.model.cond_predict_scale": False}), weights)
    policy = load(convert(file, tmp_path / "policy").folder)
    windows, observed = observations(np.random.default_rng(0), weights)
    x = torch.randn(2, 1, 8, 2)
    wanted = predict(weights, x[:, 0], 5, observed)
    torch.testing.assert_close(policy.epsilon(x, 5, policy.encode(windows))[:, 0], wanted, atol=1e-5, rtol=1e-5)


def test_chunks_are_the_projects(folder):
    policy, weights = load(folder), make_weights()
    windows, observed = observations(np.random.default_rng(1), weights)
    streams = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    noises = [torch.stack([torch.randn(8, 2, generator=stream) for stream in streams]) for _ in range(20)]
    wanted = draw(weights, observed, noises).float()
    found = policy.sample(policy.encode(windows), [[3], [4]])[:, 0]
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    scale, offset = (weights[f"normalizer.params_dict.action.{part}"].numpy() for part in ("scale", "offset"))
    np.testing.assert_allclose(policy.to_px(found.numpy()), (wanted.numpy() - offset) / scale, atol=0.01)
    assert (policy.current, policy.executed_actions, policy.describe_sampler()) == (1, 4, "DDPM, 20 steps")


def test_nine_keypoints_are_those_of_the_human_demonstrations():
    eight = keypoints_of_pose(np.array(POSE))
    np.testing.assert_allclose(weights_of_eight() @ eight, np.reshape(RECORDED, (9, 2)), atol=2e-4)
    np.testing.assert_allclose(keypoints_of_pose(np.zeros(3)), VERTICES, atol=1e-9)
    np.testing.assert_allclose(weights_of_eight() @ VERTICES, POINTS, atol=1e-9)


CONFIGS = {
    "_target_": ("x.TrainDiffusionTransformerLowdimWorkspace", "of a TrainDiffusionTransformerLowdimWorkspace; only"),
    "policy._target_": (
        "x.DiffusionUnetHybridImagePolicy",
        "'DiffusionUnetHybridImagePolicy', not 'DiffusionUnetLowdimPolicy'",
    ),
    "training.use_ema": (False, "evaluates weights that are not averaged"),
    "policy.obs_as_global_cond": (False, "LeRobot's U-Net knows no other conditioning"),
    "policy.pred_action_steps_only": (True, "LeRobot's chunks begin with the first observation"),
    "policy.oa_step_convention": (False, "from the current observation on"),
    "policy.obs_dim": (40, "policy.obs_dim 40, not 20"),
    "policy.horizon": (10, "horizon 10; LeRobot's must be a multiple of 8"),
    "policy.model.kernel_size": (..., "lacks policy.model.kernel_size"),
    "policy.model.down_dims": ([], r"down_dims \[\]"),
    "policy.model.n_groups": ("${groups}", "was not resolved before training"),
    "policy.model.dropout": (0.1, "policy.model.dropout, which is not known"),
    "policy.eta": (0.0, "policy.eta, which is not known"),
    "policy.num_inference_steps": (10, "samples in 10 of 20 DDPM steps"),
    "policy.noise_scheduler.variance_type": ("fixed_large", "LeRobot's is 'fixed_small'"),
    "policy.noise_scheduler.beta_schedule": ("cosine", "LeRobot cannot build"),
    "n_latency_steps": (1, "would not be executed"),
    "task": (..., "lacks task.env_runner.agent_keypoints"),
}


@pytest.mark.parametrize(("place", "value", "words"), [(place, *each) for place, each in CONFIGS.items()], ids=CONFIGS)
def test_another_policy_is_refused_by_name(place, value, words, tmp_path):
    file = write_checkpoint(tmp_path / "a.ckpt", make_config(**{place: value}))
    refused(file, words)


WEIGHTS = {
    "model.local_cond_encoder.0.bias": (torch.zeros(1), "has too many weights of the U-Net"),
    "obs_encoder.bias": (torch.zeros(1), "has weights obs_encoder.bias"),
    "model.final_conv.1.bias": (None, "lacks weights of the U-Net of its config: final_conv.1.bias"),
    "model.mid_modules.0.blocks.1.block.0.weight": (
        torch.zeros(32, 32, 3),
        "mid_modules.0.conv2.block.0.weight of shape",
    ),
    "model.mid_modules.0.cond_encoder.1.weight": (torch.zeros(64, 50), "34 values, which are no observations of 20"),
    "model.mid_modules.1.cond_encoder.1.weight": (torch.zeros(64), "conditions on 0 values"),
    "model.final_conv.1.weight": (torch.full((2, 8, 1), torch.nan), r"a\.ckpt has non-finite weights"),
    "model.diffusion_step_encoder.3.bias": (torch.zeros(16, dtype=torch.float64), "in torch.float64"),
    "model.diffusion_step_encoder.1.bias": (1.0, "are not tensors by name"),
    "normalizer.params_dict.obs.scale": (torch.zeros(20), "by scales that are not above 0"),
    "normalizer.params_dict.obs.offset": (torch.full((20,), torch.nan), "offset that is not finite"),
    "normalizer.params_dict.action.scale": (None, "needs a normaliser"),
}


@pytest.mark.parametrize(("name", "value", "words"), [(name, *each) for name, each in WEIGHTS.items()], ids=WEIGHTS)
def test_other_weights_are_refused_by_name(name, value, words, tmp_path):
    weights = {key: each for key, each in (make_weights() | {name: value}).items() if each is not None}
    refused(write_checkpoint(tmp_path / "a.ckpt", weights=weights), words)


def test_a_file_without_the_average_is_refused(tmp_path):
    refused(write_checkpoint(tmp_path / "a.ckpt", ema_model=None), "has no averaged weights")


@pytest.mark.parametrize("kind", [Touch, Run])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(kind, tmp_path):
    value = kind(tmp_path / "marker")
    assert is_live(value)
    file = write_checkpoint(tmp_path / "a.ckpt", surprise=value)
    assert not value.marker.exists()
    refused(file, "names .*reading stopped")
    assert not value.marker.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x80\x02}q\x00.", None])
def test_what_is_no_checkpoint_is_refused(content, tmp_path):
    file = tmp_path / "a.ckpt"
    if content is None:
        torch.save({"state_dict": {}}, file)
    else:
        file.write_bytes(content)
    refused(file, "cannot be read as weights|has no cfg and state_dicts")
    refused(tmp_path / "none.ckpt", "is not a file")


@settings(max_examples=40)
@given(place=st.integers(0), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_in_one_line(place, byte, folder):
    whole, damaged = folder.with_name("latest.ckpt"), folder.with_name("damaged.ckpt")
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(damaged, "w") as copy:
        for name in source.namelist():
            content = bytearray(source.read(name))
            if name.endswith("data.pkl"):
                content[place % len(content)] = byte
            copy.writestr(name, bytes(content))
    try:
        read_checkpoint_file(damaged)
    except ConvertError as error:
        assert "\n" not in str(error)


def refused(file, words: str) -> None:
    out = file.with_name("out")
    before = sorted(file.parent.iterdir())
    with pytest.raises(ConvertError, match=words) as caught:
        convert(file, out)
    assert "\n" not in str(caught.value)
    assert sorted(file.parent.iterdir()) == before, "something was written"


def test_the_command_converts_and_compute_scores_it(dlscore, dataset_folder, tmp_path):
    file, out = write_checkpoint(tmp_path / "latest.ckpt"), tmp_path / "policy"
    code, printed, _ = dlscore("convert", str(file), str(out))
    assert (code, printed.startswith(f"{out}: ")) == (0, True)
    assert json.loads((out / "config.json").read_text())["type"] == "diffusion_policy"
    code, _, err = dlscore("convert", str(file), str(out))
    assert (code, "exists; choose another folder" in err) == (1, True)
    code, _, err = dlscore(
        "compute", "--policy-path", str(out), "--dataset-root", str(dataset_folder), "--max-steps", "1", "--chunks", "2",
        "--action-resolution", "8", "--samples", "16", "--quality", "draft", "--density", "model",  # of 20 steps
        "--output-dir", str(tmp_path / "cache"),
    )  # fmt: skip
    assert code == 0, err
