"""config.json in the schema of 2024 (`input_shapes`, a normalisation mode a feature) to that of LeRobot since 2025."""

from __future__ import annotations

from typing import Any

from dlscore.policy.errors import PolicyError

# A field that only the 2024 configs of a type have -> that type.
TYPES_OF_2024 = {
    "num_train_timesteps": "diffusion",
    "chunk_size": "act",
    "n_vqvae_training_steps": "vqbet",
    "n_pi_samples": "tdmpc",
    "horizon_steps": "tdmpc",
}

GONE = ("input_shapes", "output_shapes", "input_normalization_modes", "output_normalization_modes")


def type_of_2024(old: dict[str, Any]) -> str:
    """The type of a policy whose config.json does not say it."""
    return next((kind for field, kind in TYPES_OF_2024.items() if field in old), "unknown")


def translate(old: dict[str, Any], name: str) -> dict[str, Any]:
    """config.json of policy `name` as LeRobot writes it since 2025; PolicyError if that would take a guess.

    Unambiguous where every feature is one of PushT's and all features of a type are normalised alike.
    """
    try:
        shapes = {**old["input_shapes"], **old["output_shapes"]}
        modes = {**old["input_normalization_modes"], **old["output_normalization_modes"]}
        kinds = {feature: _kind(feature, name) for feature in shapes}
        mapping = _mapping(kinds, modes, name)
        if not all(isinstance(shape, list) for shape in shapes.values()):
            raise TypeError(f"shapes {shapes}")
    except (KeyError, TypeError, AttributeError) as error:
        raise PolicyError(
            f"config.json of policy {name} is of 2024 (input_shapes) but not whole ({type(error).__name__}: {error}); it "
            "needs input_shapes, output_shapes and a normalisation mode for each of their features"
        ) from error
    new = {key: value for key, value in old.items() if key not in GONE} | {
        "type": type_of_2024(old),
        "normalization_mapping": mapping,
        "input_features": _features(old["input_shapes"], kinds),
        "output_features": _features(old["output_shapes"], kinds),
    }
    if new["type"] != "diffusion":
        return new
    # One encoder for all cameras was the only way then; a checkpoint with more does not load strictly.
    new.setdefault("use_separate_rgb_encoder_per_camera", False)
    return new


def _kind(feature: str, name: str) -> str:
    if feature.startswith("observation.image"):
        return "VISUAL"
    known = {"observation.state": "STATE", "observation.environment_state": "ENV", "action": "ACTION"}
    if feature not in known:
        raise PolicyError(
            f"config.json of policy {name} is of 2024 and does not say what '{feature}' is; save the policy again "
            "with LeRobot 0.3 or later"
        )
    return known[feature]


def _mapping(kinds: dict[str, str], modes: dict[str, Any], name: str) -> dict[str, str]:
    # Feature type -> normalisation mode.
    mapping: dict[str, str] = {}
    for feature, kind in kinds.items():
        mode = str(modes[feature]).upper()
        if mode not in ("MEAN_STD", "MIN_MAX") or mapping.setdefault(kind, mode) != mode:
            raise PolicyError(
                f"config.json of policy {name} is of 2024 and normalises '{feature}' by {modes[feature]!r}, other "
                f"{kind} features by {mapping.get(kind)!r}; today's LeRobot knows one of MEAN_STD, MIN_MAX for all of a type"
            )
    return mapping


def _features(shapes: dict[str, list[int]], kinds: dict[str, str]) -> dict[str, Any]:
    return {feature: {"type": kinds[feature], "shape": list(shape)} for feature, shape in shapes.items()}
