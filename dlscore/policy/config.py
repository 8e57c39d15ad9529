"""config.json of a checkpoint, checked without torch: policy type, format, and that no field is left to a default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlscore.policy.base import Policy
from dlscore.policy.errors import PolicyError
from dlscore.policy.families import choose_family
from dlscore.policy.folder import ADAPTER
from dlscore.policy.schedule_fields import lacking
from dlscore.policy.schema_2024 import translate, type_of_2024

COMMON = ("input_features", "output_features", "normalization_mapping")
TOKENIZER = "tokenizer_processor"
STEPS = ("rename_observations_processor", "to_batch_processor", "device_processor", "normalizer_processor",
         "unnormalizer_processor", TOKENIZER)  # fmt: skip


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """config.json of policy `name` in `folder` as LeRobot writes it since 2025; PolicyError if that would need a guess."""
    try:
        written = json.loads((folder / "config.json").read_text())
        kind, of_2024 = written.get("type"), "type" not in written and "input_shapes" in written
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise PolicyError(f"{folder}/config.json cannot be read ({type(error).__name__}: {error})") from error
    family = choose_family(type_of_2024(written) if of_2024 else kind, name)
    if of_2024:
        written = translate(written, name)
    if written.get("use_peft") or (folder / ADAPTER).exists():
        sign = ADAPTER if (folder / ADAPTER).exists() else "use_peft in its config.json"
        raise PolicyError(
            f"policy {name} is a PEFT adapter ({sign}), and the base without it is another policy; merge the adapter into "
            "the base (merge_and_unload), set use_peft to false, and save the policy again"
        )
    _check_whole(written, family, name)
    outputs = written["output_features"]
    action = outputs.get("action") if isinstance(outputs, dict) else None
    shape = action.get("shape") if isinstance(action, dict) else None
    if shape != [2]:
        raise PolicyError(f"policy {name} has actions of shape {shape}; PushT's are [2]")
    _check_normalised(written, name)
    family.check_config(written, name)
    return dict(written)


def _check_whole(written: dict[str, Any], family: type[Policy], name: str) -> None:
    # A missing field would silently become the default of the installed LeRobot, which may be of another era than the weights
    # (horizon 64 instead of 16, one encoder a camera instead of one).
    required = [*COMMON, *family.required, *(family.required_for_images if _images(written) else ())]
    if missing := [field for field in required if field not in written]:
        raise PolicyError(lacking(f"config.json of policy {name}", missing))


def _check_normalised(written: dict[str, Any], name: str) -> None:
    mapping = written["normalization_mapping"]
    for kind in ("ACTION", "STATE"):
        if isinstance(mapping, dict) and mapping.get(kind) == "IDENTITY":
            raise PolicyError(
                f"config.json of policy {name} says that {kind} is not normalised (normalization_mapping {kind}: IDENTITY), and "
                "px are far outside the range of the network; dlscore scores policies whose states and actions are MIN_MAX or "
                "MEAN_STD"
            )


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
                f"{file} has a step {name or step.get('class')!r}; the steps of a policy here are {', '.join(STEPS)}: save "
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
