"""A multi-task diffusion transformer is loaded from its config alone, and samples as LeRobot's own does."""

import shutil

import numpy as np
import pytest
import torch
from support.checkpoints import edit_config, load
from support.runs import flat

from dlscore import open_cache
from dlscore.common.errors import UserError
from dlscore.episodes.episode import ENVIRONMENT, IMAGE, STATE
from dlscore.policy.multi_task_dit import MultiTaskDiT

WRITTEN = dict.fromkeys(MultiTaskDiT.required, 1) | {
    "input_features": {STATE: {"type": "STATE", "shape": [2]}}, "objective": "flow_matching", "sigma_min": 0.0,
    "num_integration_steps": 100, "integration_method": "euler",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"input_features": {ENVIRONMENT: {"type": "ENV"}}},
            f"lists {ENVIRONMENT}, which LeRobot's multi_task_dit ignores",
        ),
        ({"objective": "flow"}, "objective 'flow'; choose from diffusion, flow_matching"),
        ({"objective": "diffusion"}, "lacks noise_scheduler_type"),
        ({"sigma_min": 1.0}, "it is a number from 0 to below 1"),
        ({"integration_method": "heun"}, "choose from euler, rk4"),
        ({"num_integration_steps": 0}, "it is a whole number from 1"),
    ],
)
def test_configs_that_would_be_misread_are_refused(change, words):
    MultiTaskDiT.check_config(WRITTEN, "mine")
    with pytest.raises(UserError, match=words):
        MultiTaskDiT.check_config(WRITTEN | change, "mine")


def test_a_text_is_for_policies_that_take_one(dlscore, quick_options):
    code, _, err = dlscore("compute", *flat(quick_options | {"task": "Push."}))
    assert code == 1
    assert "--task is for policies that take a text" in err


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    pytest.importorskip("transformers", reason="LeRobot's multi_task_dit needs transformers (extra dit)")
    from support.dits import save_clip

    return save_clip(tmp_path_factory.mktemp("hub") / "clip-tiny")


OBJECTIVES = {
    "euler": {"objective": "flow_matching"},
    "rk4": {"objective": "flow_matching", "integration_method": "rk4", "sigma_min": 0.01},
    "ddpm": {"objective": "diffusion"},
}


@pytest.mark.parametrize("changes", OBJECTIVES.values(), ids=OBJECTIVES)
def test_it_encodes_and_samples_as_lerobot_does(clip, tmp_path, monkeypatch, changes):
    from support.dits import save_dit

    policy = load(save_dit(tmp_path / "dit", clip, **changes))
    policy.set_task("push the t")
    rng = np.random.default_rng(0)
    seen = {
        STATE: 512 * rng.random((2, 2, 2), dtype=np.float32),
        IMAGE: rng.random((2, 2, 3, 96, 96), dtype=np.float32),
    }
    given = policy.encode(seen)
    batch = policy.preprocess.preprocess(
        {name: torch.from_numpy(each) for name, each in seen.items()} | {"task": ["push the t"] * 2}
    )
    noise = [torch.randn(8, 2, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4)]
    drawn = iter([torch.stack(noise), *(torch.zeros(2, 8, 2) for _ in range(9))])
    monkeypatch.setattr(torch, "randn", lambda *args, **kwargs: next(drawn))
    if policy.config.is_diffusion:  # further noise is 0 in both
        monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda shape, **_: torch.zeros(shape))
    batch["observation.images"] = batch[IMAGE].unsqueeze(2)
    with torch.inference_mode():
        theirs = policy.policy._generate_actions(batch)
    monkeypatch.undo()
    if policy.config.is_diffusion:
        monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda shape, **_: torch.zeros(shape))
    ours = policy.sample(given, [[3], [4]])[:, 0]
    torch.testing.assert_close(ours[:, policy.current : policy.current + 4], theirs, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(given, _other_text(policy, seen))


def _other_text(policy, seen):
    policy.set_task("do nothing at all")
    return policy.encode(seen)


def test_epsilon_is_that_of_the_velocity(clip, tmp_path):
    from support.dits import save_dit

    policy = load(save_dit(tmp_path / "dit", clip, STATE, objective="flow_matching"))
    given = policy.encode({STATE: np.full((2, 2, 2), 200, dtype=np.float32)})
    x, t = torch.randn(2, 3, 8, 2), 3000
    tau = torch.full((6,), policy.path.time(t))
    with torch.inference_mode():
        velocity = policy.policy.noise_predictor(
            x.flatten(0, 1), tau, conditioning_vec=given.repeat_interleave(3, dim=0)
        )
    torch.testing.assert_close(policy.epsilon(x, t, given), x - tau[0] * velocity.view(x.shape), atol=1e-6, rtol=1e-5)


def test_the_text_is_the_data_sets_and_is_stored(clip, tmp_path, dlscore, quick_options):
    from support.dits import save_dit

    folder = save_dit(tmp_path / "dit", clip, STATE, objective="flow_matching")
    options = quick_options | {"policy-path": folder, "max-steps": 1}
    keys = {}
    for text in (None, "Push the block."):
        given = flat(options | ({} if text is None else {"task": text, "output-dir": tmp_path / "other"}))
        code, _, err = dlscore("compute", *given)
        assert code == 0, err
        place = quick_options["output-dir"] if text is None else tmp_path / "other"
        with open_cache(place / "episode_000.h5") as cache:
            keys[cache.attrs["task"]] = cache.attrs["key"]
            assert "euler, 5 steps" in cache.attrs["predicted_action_is"]
    assert len(set(keys.values())) == 2
    assert "Push the block." in keys


def test_the_text_must_be_one(clip, tmp_path, monkeypatch, dlscore, quick_options):
    from support.dits import save_dit

    from dlscore.episodes.dataset import Dataset

    folder = save_dit(tmp_path / "dit", clip, STATE, objective="flow_matching")
    monkeypatch.setattr(Dataset, "tasks", ("push", "pull"))
    code, _, err = dlscore("compute", *flat(quick_options | {"policy-path": folder}))
    assert code == 1
    assert "takes a text, and data set" in err
    assert "has 2 of them; give one by --task" in err
    assert not list(quick_options["output-dir"].glob("*"))


def test_the_processor_file_does_not_choose_the_tokenizer(clip, tmp_path):
    from support.dits import save_dit

    folder = save_dit(tmp_path / "dit", clip, STATE, objective="flow_matching")
    file = folder / "policy_preprocessor.json"
    file.write_text(file.read_text().replace(str(clip), "somebody/else"))
    assert "somebody/else" in file.read_text()
    seen = {STATE: np.full((1, 2, 2), 200, dtype=np.float32)}
    assert torch.isfinite(load(folder).encode(seen)).all()


def test_what_the_hubs_cache_lacks_is_named(clip, tmp_path):
    from support.dits import save_dit

    folder = save_dit(tmp_path / "dit", clip, STATE, objective="flow_matching")
    gone = shutil.copytree(folder, tmp_path / "gone")
    edit_config(gone, text_encoder_name="nobody/clip-none")
    with pytest.raises(UserError, match=r"nobody/clip-none is not in the hub's cache.* hf download nobody/clip-none"):
        load(gone)
