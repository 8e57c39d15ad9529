"""A checkpoint on disk to a Policy: strictly, exactly, and without writing anything.

LeRobot 0.4 and later keep a policy's normalisation in processor files; up to 0.3 it was inside the weights, and in 2024
config.json had another schema. All are read. Whatever would need a guess is a PolicyError with the remedy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from dlscore.policy import legacy
from dlscore.policy.base import Policy
from dlscore.policy.checkpoint import Checkpoint
from dlscore.policy.config import TOKENIZER, read_config, read_steps
from dlscore.policy.errors import PolicyError
from dlscore.policy.families import choose_family
from dlscore.policy.fields import known_fields
from dlscore.policy.folder import PROCESSORS, fingerprint, resolve_policy

BATCH_SIZES = {"cpu": 256}  # chunks through the network at once; 2048 on any other device
# The checkpoint's own weights follow: never download others; compiling changes no number.
WITHOUT = {"pretrained_backbone_weights": None, "compile_model": False}
STATISTICS_REMEDY = "save the policy again with the statistics of its data set"


def load_policy(
    path: str, *, device: str = "auto", revision: str | None = None, batch_size: int | None = None
) -> Policy:
    """Load a policy from a folder, the folder of a training run, or a hub id, as its family does.

    batch_size: chunks through the network at once; by default 256 on a CPU, which one step fills, and 2048 on a GPU,
    which several steps share. Raises PolicyError or HubError for whatever would make it another network than the saved one.
    """
    folder, resolved = resolve_policy(path, revision)
    where = torch.device(pick_device(device))
    written = read_config(folder, path)
    family = choose_family(written["type"], path)
    size = batch_size or BATCH_SIZES.get(where.type, 2048)
    checkpoint = Checkpoint(folder, path, resolved, fingerprint(folder), written, where, size)
    opened = getattr(family, "open", None)
    if opened is None and family.lerobot is None:
        raise PolicyError(
            f"family {family.__qualname__} has neither `lerobot` nor a class method `open`; it needs one of them"
        )
    loaded: Policy = load_lerobot(family, checkpoint) if opened is None else opened(checkpoint)
    return loaded


def load_lerobot(family: type[Policy], checkpoint: Checkpoint) -> Policy:
    """A checkpoint of one of LeRobot's own policies, strictly."""
    path, folder, where = checkpoint.name, checkpoint.folder, checkpoint.device
    logging.getLogger("lerobot").setLevel(logging.ERROR)
    from safetensors.torch import load_file

    make_config, make_policy = (_import(name) for name in family.lerobot or ())
    config, notes = _config(checkpoint, make_config)
    weights_file = folder / "model.safetensors"
    if not weights_file.is_file():
        raise PolicyError(f"policy {path} has no model.safetensors; its folder {folder} has {_listing(folder)}")
    try:
        weights = legacy.plain_names(load_file(weights_file), path)
        weights, preprocess, postprocess = _processors(family, checkpoint, config, weights)
        with contextlib.redirect_stdout(io.StringIO()):  # LeRobot prints how many parameters some networks have
            policy = family.build(make_policy, config)
        policy.load_state_dict(weights, strict=True)
        policy.to(where).eval()
        loaded = family(policy, preprocess, postprocess, name=path, revision=checkpoint.revision,
                        fingerprint=checkpoint.fingerprint, device=where, batch_size=checkpoint.batch_size,
                        notes=notes)  # fmt: skip
        _check_statistics(loaded, path)
        _check_normalised(loaded, path)
    except PolicyError:
        raise
    except Exception as error:  # torch, safetensors, diffusers and the processors raise types of their own
        text = " ".join(str(error).split())
        raise PolicyError(f"policy {path} cannot be loaded exactly ({type(error).__name__}: {text[:400]})") from error
    if not all(torch.isfinite(p).all() for p in policy.state_dict().values() if p.is_floating_point()):
        raise PolicyError(f"policy {path} has non-finite weights; train or download it again")
    return loaded


def _import(name: str) -> Any:
    # "module:Class"
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _processors(
    family: type[Policy], checkpoint: Checkpoint, config: Any, weights: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], Any, Any]:
    # (weights of the network, preprocessor, postprocessor), the statistics from processor files or from the weights.
    from lerobot.policies.factory import make_pre_post_processors

    folder, path, device = checkpoint.folder, checkpoint.name, str(checkpoint.device)
    lacking = [name for name in PROCESSORS if not (folder / name).is_file()]
    if lacking and len(lacking) < len(PROCESSORS):
        raise PolicyError(
            f"policy {path} has no {lacking[0]}; LeRobot 0.4 and later write {' and '.join(PROCESSORS)}: save the policy again"
        )
    if not lacking:
        steps = [read_steps(folder / name) for name in PROCESSORS]
        # The device is ours to choose, and the data are renamed where they are read.
        changes = {"device_processor": {"device": device}, "rename_observations_processor": {"rename_map": {}}}
        changes |= family.processor_changes(config)
        _check_tokenizer(family, steps, path)
        pre, post = (
            {
                name: change
                for name, change in changes.items()
                if any(step.get("registry_name") == name for step in side)
            }
            for side in steps
        )
        if "device_processor" in post:
            post["device_processor"] = {"device": "cpu"}  # actions are wanted there
        return weights, *make_pre_post_processors(
            config, str(folder), preprocessor_overrides=pre, postprocessor_overrides=post
        )
    weights, statistics = legacy.split_statistics(weights, _modes(config), path)
    return weights, *make_pre_post_processors(config, dataset_stats=statistics)


def _check_tokenizer(family: type[Policy], steps: list[list[dict[str, Any]]], path: str) -> None:
    # A tokenizer would be fetched by whatever name the file gives; a family that takes a text says its own.
    present = any(step.get("registry_name") == TOKENIZER for side in steps for step in side)
    if present != family.takes_task:
        raise PolicyError(
            f"policy {path} of type {family.family!r} has {'a' if present else 'no'} {TOKENIZER} in its processor files; save "
            "the policy again with LeRobot"
        )


def _modes(config: Any) -> dict[str, str]:
    # Feature -> how the config has it normalised; LeRobot leaves what the mapping does not name as it is.
    mapping = {str(getattr(kind, "value", kind)): mode.value for kind, mode in config.normalization_mapping.items()}
    features = {**config.input_features, **config.output_features}
    return {name: mapping.get(feature.type.value, "IDENTITY") for name, feature in features.items()}


def _check_statistics(policy: Policy, path: str) -> None:
    # What LeRobot's normalisers hold of the policy's features: finite, and with a spread to divide by.
    features = {**policy.config.input_features, **policy.config.output_features}
    for step in (*policy.preprocess.steps, *policy.postprocess.steps):
        for name, statistics in (getattr(step, "_tensor_stats", None) or {}).items():
            if name not in features:
                continue
            for statistic in ("mean", "std", "min", "max"):
                if statistic in statistics and not torch.isfinite(statistics[statistic]).all():
                    raise PolicyError(
                        f"policy {path} has a {statistic} of '{name}' that is not finite; {STATISTICS_REMEDY}"
                    )
            mode = step.norm_map.get(features[name].type)
            mode = getattr(mode, "value", mode)
            low, high = {"MIN_MAX": ("min", "max"), "MEAN_STD": (None, "std")}.get(mode, (None, None))
            if high is None or high not in statistics:
                continue
            spread = statistics[high] - (statistics[low] if low else 0)
            if not (spread > 0).all():
                raise PolicyError(
                    f"policy {path} has statistics of '{name}' without a spread ({mode}: {spread.flatten().tolist()[:16]}), by "
                    f"which LeRobot would divide; {STATISTICS_REMEDY}"
                )


def _check_normalised(policy: Policy, path: str) -> None:
    # LeRobot leaves a feature that it has no statistics of as it is, silently: told here by what comes out.
    modes = _modes(policy.config)
    for name, feature in policy.config.input_features.items():
        probes = [torch.full((1, 1, *feature.shape), value) for value in (0.0, 0.5)]
        found = [policy.preprocess(_probe(policy, name, probe))[name] for probe in probes]
        if not all(torch.isfinite(values).all() for values in found):
            raise PolicyError(f"policy {path} has statistics of '{name}' that are not finite; {STATISTICS_REMEDY}")
        # Keypoints and pictures may have been trained as they are, where the config says so.
        meant = modes[name] == "IDENTITY" and feature.type.value in ("ENV", "VISUAL")
        if not meant and all(torch.equal(a.cpu(), b) for a, b in zip(found, probes, strict=True)):
            raise PolicyError(
                f"policy {path} does not normalise '{name}'; its processor files lack the data set's statistics, and LeRobot "
                f"would leave the values as they are: {STATISTICS_REMEDY}"
            )


def _probe(policy: Policy, name: str, values: torch.Tensor) -> dict[str, torch.Tensor]:
    return {each: values if each == name else torch.zeros(1, 1, *shape) for each, shape in policy.inputs.items()}


def pick_device(device: str) -> str:
    """`auto` is cuda, else mps, else cpu; any other device must exist."""
    present = ["cpu"]
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    if torch.cuda.is_available():
        present.insert(0, "cuda")
    if device == "auto":
        return present[0]
    kind, _, number = device.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in present or (number and not (number.isdigit() and int(number) < count)):
        raise PolicyError(f"--device {device} is not on this machine; it has {', '.join(present)} (or use auto)")
    return device


def _config(checkpoint: Checkpoint, make_config: Any) -> tuple[Any, tuple[str, ...]]:
    # (LeRobot's config, notes on what was left out of it).
    import draccus
    from lerobot.__version__ import __version__

    path = checkpoint.name
    known = [field.name for field in dataclasses.fields(make_config)]
    fields = {key: value for key, value in checkpoint.config.items() if key != "type"} | {"device": "cpu"}
    fields, notes = known_fields(fields, known, __version__, path)
    try:
        config = draccus.decode(make_config, fields)  # as LeRobot does with the file
        config.device = str(checkpoint.device)
        for name, value in WITHOUT.items():
            if name in known:
                setattr(config, name, value)
        config.validate_features()
    except Exception as error:  # draccus raises types of its own
        text = " ".join(str(error).split())
        raise PolicyError(
            f"config.json of policy {path} is not understood ({type(error).__name__}: {text[:300]})"
        ) from error
    if config.robot_state_feature is None:
        raise PolicyError(f"policy {path} does not take observation.state, which LeRobot's {config.type} policies need")
    return config, notes


def _listing(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:8])
