"""CLIP encoders built from a config alone: the checkpoint holds their weights, so nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from dlscore.policy.errors import PolicyError

__all__ = ["built_from_config", "find_tokenizer"]

# What the configs of OpenAI's encoders change of the defaults of transformers (ViT-B/32), by name on the hub.
WIDE = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
WIDE_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
KNOWN: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "openai/clip-vit-base-patch32": ({}, {}),
    "openai/clip-vit-base-patch16": ({"patch_size": 16}, {}),
    "openai/clip-vit-large-patch14": (WIDE, WIDE_TEXT),
    "openai/clip-vit-large-patch14-336": ({**WIDE, "image_size": 336}, WIDE_TEXT),
}


@contextmanager
def built_from_config(module: Any) -> Iterator[None]:
    """Within it, `CLIPVisionModel.from_pretrained` and that of the text, as `module` names them, fetch nothing."""
    vision, text = module.CLIPVisionModel, module.CLIPTextModel
    module.CLIPVisionModel = SimpleNamespace(from_pretrained=lambda name: vision(_config(name, "vision")))
    module.CLIPTextModel = SimpleNamespace(from_pretrained=lambda name: text(_config(name, "text")))
    try:
        yield
    finally:
        module.CLIPVisionModel, module.CLIPTextModel = vision, text


def find_tokenizer(name: str) -> Any:
    """The tokenizer of CLIP model `name`, from a folder or the hub's cache. Raises PolicyError where it is not there."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError) as error:
        raise PolicyError(
            f"the tokenizer of text encoder {name} is not in the hub's cache, and a checkpoint does not hold it; fetch it once "
            f"with: hf download {name} --include '*.json' --include merges.txt"
        ) from error


def _config(name: str, part: str) -> Any:
    from transformers import CLIPConfig, CLIPTextConfig, CLIPVisionConfig

    if name in KNOWN:
        vision, text = KNOWN[name]
        return CLIPVisionConfig(**vision) if part == "vision" else CLIPTextConfig(**text)
    try:
        found = CLIPConfig.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError) as error:
        raise PolicyError(
            f"the {part} encoder {name} is not known, and its config is not in the hub's cache; fetch it once with: "
            f"hf download {name} config.json"
        ) from error
    return found.vision_config if part == "vision" else found.text_config
