"""config.json of other LeRobot versions: what only concerns training is left out and told, anything else is refused by name."""

import dataclasses
import json
import shutil

import pytest
import torch
from lerobot import __version__
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig

from dlscore.common.errors import UserError
from dlscore.policy.fields import TRAINING_ONLY, known_fields
from dlscore.policy.folder import resolve_policy
from dlscore.policy.load import load_policy

VALUES = {"gradient_checkpointing": True, "pretrained_revision": "v9"}
KNOWN = [field.name for field in dataclasses.fields(DiffusionConfig)]


@pytest.fixture
def checkpoint(quick_policy_folder, tmp_path):
    return shutil.copytree(quick_policy_folder, tmp_path / "policy")


def edit(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def load(folder):
    return load_policy(str(folder), device="cpu")


@pytest.mark.parametrize("field", TRAINING_ONLY)
def test_a_field_of_training_changes_no_number_known_or_not(quick_policy_folder, checkpoint, field):
    edit(checkpoint, **{field: VALUES.get(field, 0.5)})
    one, two = load(quick_policy_folder), load(checkpoint)
    given = torch.randn(2, 36, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one.sample(given, [[1], [2]]), two.sample(given, [[1], [2]]))
    noisy = torch.randn(2, 3, one.horizon, 2, generator=torch.Generator().manual_seed(1))
    assert torch.equal(one.epsilon(noisy, 30, given), two.epsilon(noisy, 30, given))
    assert len(two.notes) == (field not in KNOWN)
    assert all(f"LeRobot {__version__} does not know" in note and field in note for note in two.notes)


def test_a_field_that_lerobot_knows_is_kept_and_no_word_said():
    written = {"horizon": 16, "gradient_checkpointing": True}
    assert known_fields(written, ["horizon", "gradient_checkpointing"], "0.6.1", "x") == (written, ())


def test_what_lerobot_0_6_1_saves_is_read_by_0_5_1():
    written = {"horizon": 16, "gradient_checkpointing": False, "pretrained_revision": None}
    kept, notes = known_fields(written, ["horizon"], "0.5.1", "x")
    assert kept == {"horizon": 16}
    assert notes == (
        "config.json of policy x has fields that LeRobot 0.5.1 does not know, left out as they cannot change a score "
        "(gradient_checkpointing: it recomputes activations in the backward pass, and scoring has none; "
        "pretrained_revision: it says where training began, and the weights are those where it ended)",
    )


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (
            "use_film_scale_modulatoin",
            "the nearest field that it knows is 'use_film_scale_modulation'; correct the name",
        ),
        ("xyzzy", "another network; correct the name, or install the LeRobot that saved the policy"),
    ],
)
def test_any_other_field_is_refused(checkpoint, field, words):
    edit(checkpoint, **{field: 1, "scheduler_decay_lr": 0.1})
    with pytest.raises(UserError, match=f"has '{field}', which LeRobot {__version__} does not know .*{words}"):
        load(checkpoint)


def test_the_user_is_told_once_of_what_was_left_out(dlscore, quick_options, checkpoint):
    edit(checkpoint, scheduler_decay_lr=0.1)
    argv = [f"--{name}={value}" for name, value in (quick_options | {"policy-path": checkpoint}).items()]
    for more in (["--dry-run"], ["--max-steps=2"]):
        code, _, err = dlscore("compute", *argv, *more)
        assert code == 0, err
        (told,) = [line for line in err.splitlines() if "scheduler_decay_lr" in line]
        assert told.startswith("dlscore: config.json of policy ")


@pytest.mark.parametrize("sign", ["use_peft in its config.json", "adapter_config.json"])
def test_an_adapter_is_refused_by_name(checkpoint, sign):
    if sign == "adapter_config.json":
        (checkpoint / sign).write_text("{}")
    else:
        edit(checkpoint, use_peft=True)
    with pytest.raises(UserError, match=rf"is a PEFT adapter \({sign}\), .*merge_and_unload.* save the policy again"):
        load(checkpoint)


def test_the_adapter_of_a_training_run_is_found_to_be_refused(checkpoint, tmp_path):
    (checkpoint / "model.safetensors").unlink()
    edit(checkpoint, use_peft=True)
    (checkpoint / "adapter_config.json").write_text("{}")
    model = tmp_path / "run" / "checkpoints" / "000010" / "pretrained_model"
    shutil.copytree(checkpoint, model)
    assert resolve_policy(str(tmp_path / "run"))[0] == model
    with pytest.raises(UserError, match="is a PEFT adapter"):
        load(tmp_path / "run")
