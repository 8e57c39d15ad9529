"""config.json of a checkpoint, checked without torch: policy type, format, and that no field is left to a default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlscore.common.choices import suggest
from dlscore.policy.errors import PolicyError
from dlscore.policy.folder import ADAPTER
from dlscore.policy.schema_2024 import translate

# Fields that shape the network or the sampler: one that is missing would silently become the default of the installed
# LeRobot, which is of another era than the weights (horizon 64 instead of 16, one encoder a camera instead of one).
REQUIRED = (
    "input_features", "output_features", "horizon", "n_obs_steps", "n_action_steps", "normalization_mapping", "down_dims",
    "kernel_size", "n_groups", "diffusion_step_embed_dim", "use_film_scale_modulation", "noise_scheduler_type",
    "num_train_timesteps", "beta_schedule", "prediction_type", "clip_sample",
)  # fmt: skip
KINDS = {"prediction_type": ("epsilon", "sample"), "noise_scheduler_type": ("DDPM", "DDIM")}
REQUIRED_FOR_IMAGES = (
    "vision_backbone", "crop_shape", "use_group_norm", "spatial_softmax_num_keypoints",
    "use_separate_rgb_encoder_per_camera",
)  # fmt: skip

STEPS = ("rename_observations_processor", "to_batch_processor", "device_processor", "normalizer_processor",
         "unnormalizer_processor")  # fmt: skip


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """config.json of policy `name` in `folder` as LeRobot writes it since 2025; PolicyError if that would need a guess."""
    try:
        written = json.loads((folder / "config.json").read_text())
        kind, of_2024 = written.get("type"), "type" not in written and "input_shapes" in written
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise PolicyError(f"{folder}/config.json cannot be read ({type(error).__name__}: {error})") from error
    if of_2024:
        written = translate(written, name)
    elif kind != "diffusion":
        raise PolicyError(f"policy {name} is of type {kind!r}; dlscore scores LeRobot policies of type 'diffusion'")
    if written.get("use_peft") or (folder / ADAPTER).exists():
        sign = ADAPTER if (folder / ADAPTER).exists() else "use_peft in its config.json"
        raise PolicyError(
            f"policy {name} is a PEFT adapter ({sign}), and the base without it is another policy; merge the adapter into "
            "the base (merge_and_unload), set use_peft to false, and save the policy again"
        )
    _check_whole(written, name)
    outputs = written["output_features"]
    action = outputs.get("action") if isinstance(outputs, dict) else None
    shape = action.get("shape") if isinstance(action, dict) else None
    if shape != [2]:
        raise PolicyError(f"policy {name} has actions of shape {shape}; PushT's are [2]")
    _check_kinds(written, name)
    _check_counts(written, name)
    return dict(written)


def _check_whole(written: dict[str, Any], name: str) -> None:
    required = list(REQUIRED)
    if _images(written):
        required += REQUIRED_FOR_IMAGES
    if written.get("clip_sample"):
        required.append("clip_sample_range")
    if written.get("beta_schedule") != "squaredcos_cap_v2":
        required += ["beta_start", "beta_end"]
    if missing := [field for field in required if field not in written]:
        raise PolicyError(
            f"config.json of policy {name} lacks {', '.join(missing)}, and a default of another LeRobot would change the "
            "network silently; add the values it was trained with"
        )


def _check_kinds(written: dict[str, Any], name: str) -> None:
    # What LeRobot would refuse without naming the field, or leave as it is without a word.
    where = f"config.json of policy {name}"
    for field, allowed in KINDS.items():
        if written[field] not in allowed:
            raise PolicyError(f"{where} has {field} {written[field]!r}; {suggest(str(written[field]), allowed)}")
    mapping = written["normalization_mapping"]
    for kind in ("ACTION", "STATE"):
        if isinstance(mapping, dict) and mapping.get(kind) == "IDENTITY":
            raise PolicyError(
                f"{where} says that {kind} is not normalised (normalization_mapping {kind}: IDENTITY), and px are far outside "
                "the range of the noise; dlscore scores policies whose states and actions are MIN_MAX or MEAN_STD"
            )


def _check_counts(written: dict[str, Any], name: str) -> None:
    # LeRobot accepts any number, and fails or samples nonsense much later.
    horizon, steps = written["horizon"], written["num_train_timesteps"]
    limits = {
        "horizon": 10_000,
        "num_train_timesteps": 100_000,
        "n_obs_steps": horizon,
        "n_action_steps": horizon,
        "num_inference_steps": steps,
    }
    if type(written["clip_sample"]) is not bool:
        raise PolicyError(
            f"config.json of policy {name} has clip_sample {written['clip_sample']!r}; it is true or false"
        )
    reach = written.get("clip_sample_range")
    if written["clip_sample"] and not 0 < _number(reach) < float("inf"):
        raise PolicyError(f"config.json of policy {name} has clip_sample_range {reach!r}; it is a number above 0")
    if written["beta_schedule"] != "squaredcos_cap_v2":
        start, end = written["beta_start"], written["beta_end"]
        if not 0 < _number(start) <= _number(end) < 1:
            raise PolicyError(
                f"config.json of policy {name} has beta_start {start!r} and beta_end {end!r}; they are numbers that ascend "
                "between 0 and 1"
            )
    for field, most in limits.items():
        value = written.get(field)
        if field == "num_inference_steps" and value is None:  # all timesteps
            continue
        if type(value) is not int or not 1 <= value <= most:
            raise PolicyError(
                f"config.json of policy {name} has {field} {value!r}; it is a whole number from 1 to {most}"
            )


def _number(value: Any) -> float:
    # nan, for which every comparison fails, if it is not a number.
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def read_steps(file: Path) -> list[dict[str, Any]]:
    """The steps of a processor file; only those that LeRobot writes for this policy are allowed.

    LeRobot would import and call whatever class a step names. A checkpoint is data, so it must not name one.
    """
    try:
        steps = json.loads(file.read_text())["steps"]
        names = [step.get("registry_name") for step in steps]
        configs = [step.get("config") for step in steps]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PolicyError(f"{file} cannot be read ({type(error).__name__}: {error})") from error
    for name, step, config in zip(names, steps, configs, strict=True):
        if name not in STEPS or "class" in step or not isinstance(config, dict | None):
            raise PolicyError(
                f"{file} has a step {name or step.get('class')!r}; the steps of a diffusion policy are {', '.join(STEPS)}: save "
                "the policy again with LeRobot"
            )
    if twice := [name for name in STEPS if names.count(name) > 1]:
        raise PolicyError(f"{file} has the step '{twice[0]}' twice; save the policy again with LeRobot")
    return list(steps)


def read_rename_map(folder: Path) -> dict[str, str]:
    """The data set's names -> the policy's, as renamed by the checkpoint's own preprocessor; {} if it renames none."""
    file = folder / "policy_preprocessor.json"
    if not file.is_file():
        return {}
    maps = [(step.get("config") or {}).get("rename_map") or {} for step in read_steps(file)]
    if not all(isinstance(each, dict) for each in maps):
        raise PolicyError(f"{file} has a rename_map that is not an object of names; save the policy again with LeRobot")
    return {str(old): str(new) for each in maps for old, new in each.items()}


def _images(written: dict[str, Any]) -> list[str]:
    features = written.get("input_features")
    features = features if isinstance(features, dict) else {}
    return [name for name, feature in features.items() if isinstance(feature, dict) and feature.get("type") == "VISUAL"]
