"""Checkpoints of older LeRobot are the same policy, or refused by name."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support import SHARED, stub
from support.checkpoints import assert_same_policy, edit_config, edit_weights, load

from dlscore.common.errors import UserError
from dlscore.episodes.episode import IMAGE, STATE

LEGACY = SHARED / "legacy_checkpoint"


@pytest.mark.skipif(not LEGACY.exists(), reason=f"no checkpoint of LeRobot 0.3.3 at {LEGACY}")
def test_a_checkpoint_of_lerobot_0_3_3_gives_the_numbers_that_it_gave():
    policy, reference = load(LEGACY), torch.load(LEGACY / "ref.pt")
    given = policy.encode(reference["batch"])
    torch.testing.assert_close(given, reference["global_cond"], atol=1e-5, rtol=0)
    stream = torch.Generator().manual_seed(123)
    with torch.no_grad():
        chunks = policy.policy.diffusion.conditional_sample(
            3, global_cond=given, noise=reference["noise"], generator=stream
        )
    torch.testing.assert_close(chunks, reference["actions_norm"], atol=1e-5, rtol=0)
    # From the reference's own chunks: float32 kernels differ between CPUs by 6e-7, which the step to px makes 1.5e-4.
    known = reference["actions_norm"]
    torch.testing.assert_close(policy.postprocess(known), reference["actions"], atol=1e-5, rtol=0)
    px = policy.to_px(known.numpy())  # float64; the reference is float32, which has 3e-5 px there
    np.testing.assert_allclose(px, reference["actions"].numpy(), atol=5e-5)


def test_a_legacy_checkpoint_is_the_same_policy_as_a_new_one(legacy, tmp_path):
    assert_same_policy(load(legacy), load(stub.save_policy(tmp_path / "new", **stub.image_config())))


def test_the_schema_of_2024_is_translated(legacy, legacy_copy):
    assert_same_policy(load(legacy), load(stub.as_of_2024(legacy_copy)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_shapes": {STATE: [2], IMAGE: [3, 96, 96], "observation.force": [3]}}, "observation.force"),
        ({"input_normalization_modes": {STATE: "min_max"}}, "KeyError: 'observation.image'"),
        ({"input_normalization_modes": {STATE: "rank", IMAGE: "mean_std"}}, "normalises 'observation.state' by 'rank'"),
        ({"output_normalization_modes": "<gone>"}, "of 2024 .* not whole"),
        ({"crop_shape": "<gone>"}, "lacks crop_shape"),
        ({"num_train_timesteps": "<gone>", "n_pi_samples": 51}, "is of type 'tdmpc'"),
    ],
)
def test_what_is_ambiguous_in_the_schema_of_2024_is_refused(legacy_copy, change, words):
    stub.as_of_2024(legacy_copy)
    edit_config(legacy_copy, **change)
    with pytest.raises(UserError, match=words):
        load(legacy_copy)


def test_two_modes_for_one_type_are_refused(legacy_copy):
    edit_config(stub.as_of_2024(legacy_copy), input_shapes={STATE: [2], IMAGE: [3, 96, 96], "observation.image.b": [3, 96, 96]},
         input_normalization_modes={STATE: "min_max", IMAGE: "mean_std", "observation.image.b": "min_max"})  # fmt: skip
    with pytest.raises(
        UserError, match=r"normalises 'observation\.image\.b' by 'min_max', other VISUAL features by 'MEAN_STD'"
    ):
        load(legacy_copy)


def test_weights_of_a_compiled_model_load(legacy, legacy_copy):
    edit_weights(legacy_copy, lambda weights: {name.replace("diffusion.unet.", "diffusion.unet._orig_mod."): values
                                        for name, values in weights.items()})  # fmt: skip
    assert_same_policy(load(legacy), load(legacy_copy))
    edit_weights(legacy_copy, lambda weights: weights | load_file(legacy / "model.safetensors"))
    with pytest.raises(UserError, match="holds weights twice"):
        load(legacy_copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: {k: v for k, v in w.items() if "buffer_action" not in k}, "lacks normalisation statistics: min of 'action'"),
        (lambda w: {k: v for k, v in w.items() if not k.endswith("state.max")}, "max of 'observation.state'"),
        (lambda w: {k: v for k, v in w.items() if "normalize" not in k}, "min of 'observation.state', max of"),
        (lambda w: w | {"normalize_inputs.buffer_observation_state.min": torch.full((2,), torch.inf)},
         r"min of 'observation\.state' that is not finite"),
        (lambda w: w | {"normalize_inputs.buffer_observation_force.min": torch.zeros(2)},
         r"features that its config does not have: normalize_inputs\.buffer_observation_force\.min"),
        (lambda w: w | {"unnormalize_outputs.buffer_action.max": torch.full((2,), 500.0)}, "two different values of the max"),
        (lambda w: {k: v for k, v in w.items() if "final_conv.1.bias" not in k}, r"diffusion\.unet\.final_conv\.1\.bias"),
    ],
)  # fmt: skip
def test_statistics_that_are_not_whole_are_refused(legacy_copy, change, words):
    edit_weights(legacy_copy, change)
    with pytest.raises(UserError, match=words):
        load(legacy_copy)


def test_one_processor_file_alone_is_refused(legacy_copy, policy_folder):
    shutil.copy(policy_folder / "policy_postprocessor.json", legacy_copy)
    with pytest.raises(UserError, match=r"has no policy_preprocessor\.json"):
        load(legacy_copy)
