import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dlscore.common.errors import UserError
from dlscore.compute.episode import windows
from dlscore.episodes.episode import ENVIRONMENT, STATE
from dlscore.policy.load import load_policy, pick_device


@pytest.fixture
def checkpoint(policy_folder, tmp_path):
    return shutil.copytree(policy_folder, tmp_path / "policy")


def edit_config(folder, **changes):
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value != "<gone>"}))


def test_windows_reach_the_network_as_lerobot_makes_them(policy, source, dataset_folder):
    from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
    from lerobot.datasets.factory import resolve_delta_timestamps
    from torch.utils.data import DataLoader

    deltas = resolve_delta_timestamps(policy.config, LeRobotDatasetMetadata("tiny", root=dataset_folder))
    dataset = LeRobotDataset("tiny", root=dataset_folder, episodes=[1], delta_timestamps=deltas, video_backend="pyav")
    batch = policy.preprocess(next(iter(DataLoader(dataset, batch_size=len(dataset)))))
    theirs = torch.cat([batch[STATE], batch[ENVIRONMENT]], dim=-1).flatten(1)
    ours = policy.encode(windows(policy, source.load(1, policy.inputs), slice(0, len(dataset))))
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


def test_the_checkpoint_is_not_written_to(checkpoint):
    before = {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    load_policy(str(checkpoint), device="cpu")
    assert {file.name: file.read_bytes() for file in checkpoint.iterdir()} == before


def test_half_precision_weights_load(checkpoint):
    file = checkpoint / "model.safetensors"
    weights = load_file(file)
    save_file({name: tensor.half() for name, tensor in weights.items()}, file)
    loaded = load_policy(str(checkpoint), device="cpu").policy.state_dict()
    assert all(tensor.dtype == torch.float32 for tensor in loaded.values())
    for name, tensor in weights.items():
        torch.testing.assert_close(loaded[name], tensor.half().float())


def test_a_missing_or_extra_weight_is_named(checkpoint):
    file = checkpoint / "model.safetensors"
    weights = load_file(file)
    gone = sorted(weights)[0]
    save_file({name: tensor for name, tensor in weights.items() if name != gone}, file)
    with pytest.raises(UserError, match=gone.replace(".", r"\.")):
        load_policy(str(checkpoint), device="cpu")
    save_file(weights | {"extra.weight": torch.zeros(1)}, file)
    with pytest.raises(UserError, match=r"extra\.weight"):
        load_policy(str(checkpoint), device="cpu")


def test_weights_that_are_not_finite_are_refused(checkpoint):
    file = checkpoint / "model.safetensors"
    weights = load_file(file)
    weights[sorted(weights)[0]].view(-1)[0] = float("nan")
    save_file(weights, file)
    with pytest.raises(UserError, match="not finite"):
        load_policy(str(checkpoint), device="cpu")


def test_identity_normalisation_is_refused(checkpoint):
    from lerobot.policies.factory import make_pre_post_processors
    from support import stub

    for processor in make_pre_post_processors(stub.make_config()):  # without statistics: silently the identity
        processor.save_pretrained(checkpoint)
    with pytest.raises(UserError, match="does not normalise its actions"):
        load_policy(str(checkpoint), device="cpu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": "act"}, "of type 'act'"),
        ({"type": "<gone>"}, "of type None"),
        ({"horizon": "<gone>"}, "lacks horizon"),
        ({"output_features": {"action": {"type": "ACTION", "shape": [7]}}}, r"actions of shape \[7\]"),
        ({"beta_schedule": 3, "down_dims": "many"}, "is not understood"),
    ],
)
def test_a_config_that_is_not_ours_is_named(checkpoint, changes, words):
    edit_config(checkpoint, **changes)
    with pytest.raises(UserError, match=words):
        load_policy(str(checkpoint), device="cpu")


@pytest.mark.parametrize("name", ["model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json"])
def test_a_file_that_is_missing_is_named(checkpoint, name):
    (checkpoint / name).unlink()
    with pytest.raises(UserError, match=name):
        load_policy(str(checkpoint), device="cpu")


def test_a_device_that_is_absent_is_refused():
    with pytest.raises(UserError, match="--device cuda:99 is not on this machine"):
        pick_device("cuda:99")
    with pytest.raises(UserError, match="--device tpu is not on this machine"):
        pick_device("tpu")
    assert pick_device("cpu") == "cpu"
