"""Weights in older formats: with statistics inside (LeRobot up to 0.3), and with names from torch.compile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from dlscore.policy.errors import PolicyError

MODULES = ("normalize_inputs", "normalize_targets", "unnormalize_outputs")
NEEDED = {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max"), "IDENTITY": ()}
COMPILED = "_orig_mod."

Statistics = dict[str, dict[str, Tensor]]


def plain_names(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Weights under their names in a model that is not compiled."""
    plain = {key.replace(COMPILED, ""): values for key, values in weights.items()}
    if len(plain) < len(weights):
        raise PolicyError(
            f"policy {name} holds weights twice, compiled ('{COMPILED}') and not; keep one of them in model.safetensors"
        )
    return plain


def split_statistics(
    weights: Mapping[str, Tensor], modes: Mapping[str, str], name: str
) -> tuple[dict[str, Tensor], Statistics]:
    """(weights of the network, statistics {feature: {"mean": …}}) of a checkpoint that keeps both in one file.

    `modes` maps every feature of the config to its normalisation mode. LeRobot names the buffers of a feature
    `buffer_` and the feature's name with "." as "_", which cannot be split again: the config's names are looked for.
    """
    network = {key: values for key, values in weights.items() if not key.startswith(tuple(f"{m}." for m in MODULES))}
    kept = {key: values for key, values in weights.items() if key not in network}
    statistics: Statistics = {}
    used: set[str] = set()
    for feature, mode in modes.items():
        for statistic in _needed(mode):
            keys = [f"{module}.buffer_{feature.replace('.', '_')}.{statistic}" for module in MODULES]
            found = {key: kept[key].float() for key in keys if key in kept}
            used |= found.keys()
            if found:
                statistics.setdefault(feature, {})[statistic] = _agreed(found, statistic, feature, name)
    if extra := sorted(set(kept) - used):
        raise PolicyError(f"policy {name} has statistics of features that its config does not have: {_first(extra)}")
    _check_complete(statistics, modes, name)
    return network, statistics


def _needed(mode: str) -> tuple[str, ...]:
    return NEEDED.get(mode, ("min", "max"))


def _agreed(found: Mapping[str, Tensor], statistic: str, feature: str, name: str) -> Tensor:
    # The one value of a statistic that several modules keep.
    for key, values in found.items():
        if not torch.isfinite(values).all():
            raise PolicyError(
                f"policy {name} has a {statistic} of '{feature}' that is not finite ({key}): it was saved before it "
                "saw a data set; train it, or save it with the statistics of its data set"
            )
    first, *others = found.values()
    if not all(torch.equal(first, values) for values in others):
        raise PolicyError(f"policy {name} has two different values of the {statistic} of '{feature}'")
    return first


def _check_complete(statistics: Statistics, modes: Mapping[str, str], name: str) -> None:
    lacking = [
        f"{statistic} of '{feature}'"
        for feature, mode in modes.items()
        for statistic in _needed(mode)
        if statistic not in statistics.get(feature, {})
    ]
    if lacking:
        raise PolicyError(
            f"policy {name} lacks normalisation statistics: {_first(lacking)}; LeRobot would leave these values as they are. "
            "A checkpoint has them in its processor files (LeRobot 0.4 and later) or inside model.safetensors (earlier): "
            "save it again with the statistics of its data set"
        )


def _first(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
