"""The config of the project's low-dimensional U-Net workspace, checked, as fields of LeRobot's DiffusionConfig.

LeRobot's U-Net conditions on the observations as a whole (`obs_as_global_cond`), and its chunks begin with the first
observation (`oa_step_convention`). Other ways of the project make other networks or executed actions: each is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlscore.convert.errors import ConvertError
from dlscore.policy.nine_keypoints import NINE

__all__ = ["AGENT", "OBSERVED", "to_lerobot"]

AGENT = 2  # values: the agent's position, after the block's nine keypoints
OBSERVED = NINE + AGENT  # values of an observation
WORKSPACE = "TrainDiffusionUnetLowdimWorkspace"
# Where in the config -> what it must be, and why.
REQUIRED: dict[str, tuple[Any, str]] = {
    "policy._target_": ("DiffusionUnetLowdimPolicy", "another policy has another network"),
    "policy.model._target_": ("ConditionalUnet1D", "another network has other weights"),
    "training.use_ema": (True, "the project then evaluates weights that are not averaged"),
    "n_latency_steps": (0, "the first actions of a chunk would not be executed"),
    "past_action_visible": (False, "LeRobot's policy sees no actions"),
    "policy.obs_as_global_cond": (True, "LeRobot's U-Net knows no other conditioning"),
    "policy.obs_as_local_cond": (False, "LeRobot's U-Net knows no other conditioning"),
    "policy.pred_action_steps_only": (False, "LeRobot's chunks begin with the first observation"),
    "policy.oa_step_convention": (True, "LeRobot executes chunks from the current observation on"),
    "policy.obs_dim": (OBSERVED, "PushT's are nine keypoints and the agent"),
    "policy.action_dim": (2, "PushT's are positions"),
    "policy.model.input_dim": (2, "it denoises actions alone"),
    "policy.model.local_cond_dim": (None, "LeRobot's U-Net knows no other conditioning"),
    "task.env_runner.agent_keypoints": (False, "the agent is then not its position"),
}
# The project's name -> LeRobot's.
POLICY = {name: name for name in ("horizon", "n_obs_steps", "n_action_steps", "num_inference_steps")}
MODEL = {name: name for name in ("diffusion_step_embed_dim", "down_dims", "kernel_size", "n_groups")}
MODEL |= {"cond_predict_scale": "use_film_scale_modulation"}
SCHEDULER = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "clip_sample", "prediction_type")
# Samplers by class, with what LeRobot leaves at these values.
SAMPLERS: dict[str, dict[str, Any]] = {
    "DDPMScheduler": {"variance_type": "fixed_small"},
    "DDIMScheduler": {"set_alpha_to_one": True, "steps_offset": 0},
}


def to_lerobot(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Fields of a DiffusionConfig, but for its features. Raises ConvertError for a `config` of file `name` that does not fit."""
    found = str(config.get("_target_")).rpartition(".")[2]
    if found != WORKSPACE:
        raise ConvertError(f"{name} is of a {found}; only {WORKSPACE}, the U-Net on keypoints, is converted")
    for place, (wanted, why) in REQUIRED.items():
        value = _at(config, place, name)
        value = value.rpartition(".")[2] if place.endswith("_target_") and isinstance(value, str) else value
        if value != wanted or type(value) is not type(wanted):
            raise ConvertError(f"{name} has {place} {value!r}, not {wanted!r}: {why}")
    policy = config["policy"]
    _check_known(policy, "policy", {*POLICY, "noise_scheduler", *_below("policy.")}, name)
    _check_known(policy["model"], "policy.model", {*MODEL, "global_cond_dim", *_below("policy.model.")}, name)
    fields = {new: _at(config, f"policy.{old}", name) for old, new in POLICY.items()}
    fields |= {new: _at(config, f"policy.model.{old}", name) for old, new in MODEL.items()}
    fields |= _scheduler(config, name)
    _check_numbers(fields, name)
    return fields


def _at(config: Mapping[str, Any], place: str, name: str) -> Any:
    value: Any = config
    for part in place.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise ConvertError(f"the config of {name} lacks {place}, and nothing is guessed")
        value = value[part]
    if isinstance(value, str) and "${" in value:
        raise ConvertError(f"the config of {name} has {place} {value!r}, which was not resolved before training")
    return value


def _below(prefix: str) -> set[str]:
    return {place.removeprefix(prefix).partition(".")[0] for place in REQUIRED if place.startswith(prefix)}


def _check_known(table: Mapping[str, Any], place: str, known: set[str], name: str) -> None:
    if unknown := sorted(set(table) - known):
        raise ConvertError(f"{name} has {place}.{unknown[0]}, which is not known and may change what the policy does")


def _scheduler(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    place = "policy.noise_scheduler"
    kind = str(_at(config, f"{place}._target_", name)).rpartition(".")[2]
    if kind not in SAMPLERS:
        raise ConvertError(f"{name} has {place} {kind}; LeRobot has {' and '.join(SAMPLERS)}")
    table = _at(config, place, name)
    _check_known(table, place, {"_target_", *SCHEDULER, *SAMPLERS[kind]}, name)
    for option, wanted in SAMPLERS[kind].items():
        if (value := _at(config, f"{place}.{option}", name)) != wanted:
            raise ConvertError(f"{name} has {place}.{option} {value!r}; LeRobot's is {wanted!r}")
    fields = {option: _at(config, f"{place}.{option}", name) for option in SCHEDULER}
    steps, trained = _at(config, "policy.num_inference_steps", name), fields["num_train_timesteps"]
    if kind == "DDPMScheduler" and steps not in (None, trained):
        # The diffusers of the project's time steps from t to t - 1 whatever the number of steps.
        raise ConvertError(f"{name} samples in {steps!r} of {trained!r} DDPM steps, which LeRobot does otherwise")
    return fields | {"noise_scheduler_type": kind.removesuffix("Scheduler"), "clip_sample_range": 1.0}


def _check_numbers(fields: Mapping[str, Any], name: str) -> None:
    counts = ["horizon", "n_obs_steps", "n_action_steps", "diffusion_step_embed_dim", "kernel_size", "n_groups",
              "num_train_timesteps"]  # fmt: skip
    for field in counts if fields["num_inference_steps"] is None else [*counts, "num_inference_steps"]:
        if type(fields[field]) is not int or fields[field] < 1:
            raise ConvertError(f"{name} has {field} {fields[field]!r}; it is a whole number from 1")
    widths = fields["down_dims"]
    if not isinstance(widths, list) or not widths or not all(type(each) is int and each > 0 for each in widths):
        raise ConvertError(f"{name} has down_dims {widths!r}; they are whole numbers from 1")
    if fields["horizon"] % (factor := 2 ** len(widths)):
        raise ConvertError(f"{name} has horizon {fields['horizon']}; LeRobot's must be a multiple of {factor} here")
