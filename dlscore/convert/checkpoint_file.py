"""A checkpoint file of the Diffusion Policy project, read without running anything that is in it.

The file is a pickle, and a pickle can name any function. torch's reader of weights (`weights_only=True`) refuses all names
but those of tensors and plain containers. The file's config is made of OmegaConf's classes, and dill wrote it: these few
names get inert stand-ins here, whose objects hold what the file says and do nothing. Neither package is imported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.convert.errors import ConvertError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CheckpointFile", "read_checkpoint_file"]

AVERAGED = "ema_model"  # the exponential moving average of the weights, which the project evaluates


@dataclass(frozen=True)
class CheckpointFile:
    """The config as plain values, and the averaged weights by the project's names."""

    config: dict[str, Any]
    weights: dict[str, Tensor]


class _Node:
    # A node of a config. torch's reader sets its attributes; nothing else can be done with it.
    pass


def _nothing(*args: Any) -> None:
    return None


def _container(*args: Any) -> dict[Any, Any]:
    return {}


STAND_INS: tuple[tuple[Any, str], ...] = (
    *(
        (_Node, f"omegaconf.{name}")
        for name in (
            "dictconfig.DictConfig", "listconfig.ListConfig", "base.ContainerMetadata", "base.Metadata", "nodes.AnyNode",
            "nodes.StringNode", "nodes.IntegerNode", "nodes.FloatNode", "nodes.BooleanNode",
        )
    ),
    (_nothing, "dill._dill._load_type"),
    (_nothing, "typing.Any"),
    (_container, "collections.defaultdict"),
)  # fmt: skip


def read_checkpoint_file(file: Path) -> CheckpointFile:
    """The config and the averaged weights of `file`. Raises ConvertError where it is not such a file, or names anything else."""
    payload = _load(file)
    if not (isinstance(payload, dict) and isinstance(payload.get("state_dicts"), dict) and "cfg" in payload):
        raise ConvertError(
            f"{file} has no cfg and state_dicts, as a workspace of the Diffusion Policy project saves them"
        )
    try:
        config = _plain(payload["cfg"])
    except RecursionError:
        config = None
    if not isinstance(config, dict):
        raise ConvertError(f"the config (cfg) of {file} is not a table of plain values")
    weights = payload["state_dicts"].get(AVERAGED)
    if not isinstance(weights, dict):
        raise ConvertError(
            f"{file} has no averaged weights (state_dicts {AVERAGED}), which the project evaluates; it has "
            f"{', '.join(map(str, payload['state_dicts'])) or 'none'}: train with training.use_ema"
        )
    if not all(isinstance(name, str) and hasattr(each, "shape") for name, each in weights.items()):
        raise ConvertError(f"{file} has averaged weights that are not tensors by name")
    return CheckpointFile(config, weights)


def _load(file: Path) -> Any:
    import torch

    if not file.is_file():
        raise ConvertError(f"{file} is not a file; give a .ckpt of the Diffusion Policy project")
    try:
        with torch.serialization.safe_globals(list(STAND_INS)):
            return torch.load(str(file), map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # whatever a damaged or hostile file makes of the reader
        if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ConvertError(
                f"{file} names {found[1]}, which no checkpoint of the Diffusion Policy project's own code does; reading stopped "
                "there, since a pickle can run any program"
            ) from error
        text = " ".join(str(error).split())
        raise ConvertError(f"{file} cannot be read as weights ({type(error).__name__}: {text[:200]})") from error


def _plain(node: Any) -> Any:
    # Nodes hold a container in `_content` or a value in `_val`.
    if isinstance(node, _Node):
        held = vars(node)
        return _plain(held.get("_content", held.get("_val")))
    if isinstance(node, dict):
        return {str(name): _plain(each) for name, each in node.items()}
    return [_plain(each) for each in node] if isinstance(node, list) else node
