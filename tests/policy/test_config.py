"""config.json: nothing is guessed, and what makes no sense is named."""

import pytest
from support import stub
from support.checkpoints import edit_config, load

from dlscore.common.errors import UserError
from dlscore.episodes.episode import ACTION
from dlscore.policy.config import read_config
from dlscore.policy.load import load_policy


@pytest.mark.parametrize(
    "field", ["use_separate_rgb_encoder_per_camera", "vision_backbone", "clip_sample_range", "crop_shape"]
)
def test_a_field_of_another_era_is_not_guessed(legacy_copy, field):
    edit_config(legacy_copy, **{field: "<gone>"})
    with pytest.raises(UserError, match=f"lacks {field}, and a default of another LeRobot"):
        load(legacy_copy)


def test_config_json_is_checked_without_torch(legacy_copy):
    assert read_config(legacy_copy, "x")["horizon"] == 16
    assert ACTION in read_config(stub.as_of_2024(legacy_copy), "x")["output_features"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_features": {"action": {"type": "ACTION", "shape": 5}}}, "has actions of shape 5"),
        ({"num_inference_steps": 200}, "has num_inference_steps 200; it is a whole number from 1 to 100"),
        ({"horizon": 0}, "has horizon 0"),
        ({"n_obs_steps": 20}, "has n_obs_steps 20; it is a whole number from 1 to 16"),
        ({"output_features": {"action": None}}, "has actions of shape None"),
        ({"vision_backbone": "resnet9"}, r"cannot be loaded exactly .*resnet9"),
        ({"brand_new_field": 1}, "has 'brand_new_field', which LeRobot .* does not know"),
        ({"clip_sample_range": None}, "has clip_sample_range None"),
        ({"clip_sample": None}, "has clip_sample None"),
        ({"prediction_type": "v_prediction"}, "has prediction_type 'v_prediction'; .*epsilon"),
        (
            {"normalization_mapping": {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ACTION": "IDENTITY"}},
            r"says that ACTION is not normalised \(normalization_mapping ACTION: IDENTITY\)",
        ),
        ({"beta_schedule": "linear", "beta_end": 2.0}, r"has beta_start 0\.0001 and beta_end 2\.0"),
    ],
)
def test_a_config_that_makes_nonsense_is_named(legacy_copy, changes, words):
    edit_config(legacy_copy, **changes)
    with pytest.raises(UserError, match=words):
        load(legacy_copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": "tdmpc"}, "of type 'tdmpc'"),
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
