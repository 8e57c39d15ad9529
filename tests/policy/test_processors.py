"""The processors of a checkpoint: its statistics are whole, and nothing of it is run."""

import json
import shutil

import pytest
import torch
from lerobot.policies.factory import make_pre_post_processors
from safetensors.torch import load_file, save_file
from support import stub
from support.checkpoints import assert_same_policy, edit_config, load

from dlscore.common.errors import UserError
from dlscore.compute.episode import windows
from dlscore.episodes.episode import ACTION, ENVIRONMENT, STATE
from dlscore.policy.load import load_policy


def test_identity_normalisation_is_refused(checkpoint):
    from lerobot.policies.factory import make_pre_post_processors
    from support import stub

    for processor in make_pre_post_processors(stub.make_config()):  # without statistics: silently the identity
        processor.save_pretrained(checkpoint)
    with pytest.raises(UserError, match="does not normalise its actions"):
        load_policy(str(checkpoint), device="cpu")


def test_processors_saved_on_a_gpu_load_on_a_cpu(policy_folder, tmp_path):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        (folder / name).write_text((folder / name).read_text().replace('"device": "cpu"', '"device": "cuda"'))
    edit_config(folder, device="cuda")
    assert_same_policy(load(policy_folder), load(folder))


def test_a_policy_that_leaves_keypoints_as_they_are_loads_where_its_config_says_so(tmp_path, dataset):
    # LeRobot's default mapping has no ENV: such policies were trained on px.
    mapping = {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ACTION": "MIN_MAX"}
    policy = load(stub.save_policy(tmp_path / "policy", normalization_mapping=mapping))
    episode = dataset.load(0, policy.inputs)
    given = policy.encode(windows(policy, episode, slice(0, 1)))
    assert given.abs().max() > 100


@pytest.mark.parametrize("name", [STATE, ENVIRONMENT])
def test_an_input_that_lacks_its_statistics_is_named(policy_folder, tmp_path, name):
    from lerobot.policies.factory import make_pre_post_processors

    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    known = {key: values for key, values in stub.stats().items() if key != name}
    for processor in make_pre_post_processors(stub.make_config(), dataset_stats=known):
        processor.save_pretrained(folder)
    with pytest.raises(UserError, match=f"does not normalise '{name}'"):
        load(folder)


def test_a_processor_does_not_get_to_run_a_class_of_its_own(policy_folder, tmp_path):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    file = folder / "policy_preprocessor.json"
    processor = json.loads(file.read_text())
    processor["steps"].insert(0, {"class": "os.system", "config": {"command": f"touch {tmp_path / 'ran'}"}})
    file.write_text(json.dumps(processor))
    with pytest.raises(UserError, match=r"has a step 'os\.system'; the steps of a policy here are"):
        load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("statistic", "value", "words"),
    [
        ("max", torch.inf, r"a max of 'observation\.state' that is not finite"),
        ("max", 0.0, r"'observation\.state' without a spread"),
    ],
)
def test_statistics_in_processor_files_are_checked_too(policy_folder, tmp_path, statistic, value, words):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    (file,) = folder.glob("policy_preprocessor_step_*_normalizer_processor.safetensors")
    tensors = load_file(file)
    tensors[f"{STATE}.{statistic}"] = torch.full((2,), value)
    save_file(tensors, file)
    with pytest.raises(UserError, match=words):
        load(folder)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.001), (0.0, 1.0), (-3.0, 4.9)])
def test_actions_that_cannot_be_px_are_refused(policy_folder, tmp_path, low, high):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    for file in folder.glob("policy_*normalizer_processor.safetensors"):
        tensors = load_file(file)
        tensors |= {f"{ACTION}.min": torch.full((2,), low), f"{ACTION}.max": torch.full((2,), high)}
        save_file(tensors, file)
    with pytest.raises(UserError, match="which cannot be px of a world of 512 px: train it on actions in px"):
        load(folder)


@pytest.mark.parametrize(
    "text", ["[]", '{"steps": null}', '{"steps": [1]}', '{"steps": [{"registry_name": "none"}]}', "x"]
)
@pytest.mark.parametrize("name", ["policy_preprocessor.json", "policy_postprocessor.json"])
def test_a_damaged_processor_is_one_error(policy_folder, tmp_path, name, text):
    folder = shutil.copytree(policy_folder, tmp_path / "policy")
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=rf"{name} (cannot be read|has a step)"):
        load(folder)


def test_processors_without_statistics_are_still_the_identity():
    # If this fails, LeRobot has changed and the check for it in dlscore.policy may go.
    from support import stub

    preprocess, _ = make_pre_post_processors(stub.make_config())
    batch = {STATE: torch.tensor([[100.0, 200.0]])}
    torch.testing.assert_close(preprocess(dict(batch))[STATE], batch[STATE])
