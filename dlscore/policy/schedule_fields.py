"""Fields of config.json that decide the noise schedule of a diffusion policy, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlscore.common.choices import suggest
from dlscore.policy.errors import PolicyError

__all__ = ["as_number", "check_counts", "check_schedule"]

KINDS = {"prediction_type": ("epsilon", "sample"), "noise_scheduler_type": ("DDPM", "DDIM")}


def check_schedule(written: Mapping[str, Any], name: str) -> None:
    """Raise PolicyError for a noise schedule or a sampler that LeRobot would refuse without naming the field, or misread."""
    where = f"config.json of policy {name}"
    for field, allowed in KINDS.items():
        if written[field] not in allowed:
            raise PolicyError(f"{where} has {field} {written[field]!r}; {suggest(str(written[field]), allowed)}")
    if type(written["clip_sample"]) is not bool:
        raise PolicyError(f"{where} has clip_sample {written['clip_sample']!r}; it is true or false")
    _check_needed(written, where)
    reach = written.get("clip_sample_range")
    if written["clip_sample"] and not 0 < as_number(reach) < float("inf"):
        raise PolicyError(f"{where} has clip_sample_range {reach!r}; it is a number above 0")
    if written["beta_schedule"] != "squaredcos_cap_v2":
        start, end = written["beta_start"], written["beta_end"]
        if not 0 < as_number(start) <= as_number(end) < 1:
            raise PolicyError(
                f"{where} has beta_start {start!r} and beta_end {end!r}; they are numbers that ascend between 0 and 1"
            )
    steps = written["num_train_timesteps"]
    check_counts(written, name, {"num_train_timesteps": 100_000})
    if written.get("num_inference_steps") is not None:  # null: all timesteps
        check_counts(written, name, {"num_inference_steps": steps})


def check_counts(written: Mapping[str, Any], name: str, limits: Mapping[str, int]) -> None:
    """Raise PolicyError unless each field of `limits` is a whole number from 1 to its limit; LeRobot takes any number."""
    for field, most in limits.items():
        value = written.get(field)
        if type(value) is not int or not 1 <= value <= most:
            raise PolicyError(
                f"config.json of policy {name} has {field} {value!r}; it is a whole number from 1 to {most}"
            )


def _check_needed(written: Mapping[str, Any], where: str) -> None:
    # Fields that matter for some schedules only.
    needed = ["clip_sample_range"] if written["clip_sample"] else []
    needed += ["beta_start", "beta_end"] if written["beta_schedule"] != "squaredcos_cap_v2" else []
    if missing := [field for field in needed if field not in written]:
        raise PolicyError(lacking(where, missing))


def lacking(where: str, fields: list[str]) -> str:
    """The message about fields that are not there."""
    return (
        f"{where} lacks {', '.join(fields)}, and a default of another LeRobot would change the network silently; add the values "
        "it was trained with"
    )


def as_number(value: Any) -> float:
    """The value, or nan, for which every comparison fails, if it is not a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
