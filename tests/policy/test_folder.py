"""From a path to the folder of a checkpoint."""

import shutil

import pytest
from support.checkpoints import load

from dlscore.common.errors import UserError
from dlscore.policy.folder import resolve_policy
from dlscore.policy.load import load_policy


@pytest.mark.parametrize("below", ["checkpoints/000010", "checkpoints/000010/pretrained_model"])
def test_the_folder_of_a_training_run_is_its_last_checkpoint(policy_folder, tmp_path, below):
    for step in ("000002", "000010"):
        shutil.copytree(policy_folder, tmp_path / "run" / "checkpoints" / step / "pretrained_model")
    found, revision = resolve_policy(str(tmp_path / "run"))
    assert found.parts[-2:] == ("000010", "pretrained_model")
    assert revision == "local checkpoints/000010/pretrained_model"
    (tmp_path / "run" / "checkpoints" / "last").symlink_to("000002")
    assert resolve_policy(str(tmp_path / "run"))[0].parts[-2:] == ("000002", "pretrained_model")
    assert resolve_policy(str(tmp_path / "run" / below))[0].parts[-2:] == ("000010", "pretrained_model")
    load(tmp_path / "run")
    with pytest.raises(UserError, match=r"has no config\.json, nor checkpoints"):
        resolve_policy(str(tmp_path))


def test_a_revision_of_a_folder_and_a_mistyped_path_are_refused(policy_folder):
    with pytest.raises(UserError, match=r"is a hub revision, but policy .* is a local folder"):
        load_policy(str(policy_folder), device="cpu", revision="v9")
    for path in ("./nopolicy", "../nopolicy", "a--b/c", "x" * 5000, str(policy_folder / "config.json")):
        with pytest.raises(UserError, match=r"is neither a folder nor a hub id|cannot be read|is a file"):
            load_policy(path, device="cpu")


@pytest.mark.parametrize("name", ["latest.ckpt", "model.pth", "pytorch_model.bin"])
def test_a_pickle_is_named_and_never_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04cposix\nsystem\n.")
    with pytest.raises(UserError, match=r"is a pickle, .* never opens one as a policy: dlscore convert makes"):
        load_policy(str(tmp_path / name), device="cpu")
