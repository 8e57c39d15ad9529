"""Weights are loaded exactly, onto the device that was asked for, and the checkpoint stays as it is."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.checkpoints import edit_config, load

from dlscore.common.errors import UserError
from dlscore.policy.load import load_policy, pick_device


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
    with pytest.raises(UserError, match="non-finite weights"):
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


def test_pretrained_backbone_weights_are_not_fetched(legacy_copy, monkeypatch):
    edit_config(legacy_copy, pretrained_backbone_weights="ResNet18_Weights.IMAGENET1K_V1")
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *args, **kwargs: pytest.fail("asked")
    )
    load(legacy_copy)


def test_a_legacy_checkpoint_is_not_written_to(legacy_copy):
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in legacy_copy.iterdir()}
    load(legacy_copy)
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in legacy_copy.iterdir()} == before
