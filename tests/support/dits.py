"""A tiny multi-task diffusion transformer with a tiny CLIP, saved in LeRobot's own formats. It needs transformers."""

from pathlib import Path

import torch

from dlscore.episodes.episode import IMAGE, STATE
from support.families import OUTPUTS, features, save

SMALL = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "projection_dim": 4,
}


def save_clip(folder: Path) -> Path:
    """Text and vision encoders of 8 numbers, and a tokenizer of letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    text = SMALL | {"vocab_size": 32, "max_position_embeddings": 12, "eos_token_id": 2}
    vision = SMALL | {"image_size": 32, "patch_size": 16}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision)).save_pretrained(folder)
    letters = Tokenizer(
        models.WordLevel({"[PAD]": 0, "[UNK]": 1} | {chr(97 + k): k + 2 for k in range(26)}, unk_token="[UNK]")
    )
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=letters, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return folder


def save_dit(folder: Path, clip: Path, *inputs: str, **changes) -> Path:
    """A small transformer, its last layers not zero as fresh ones are."""
    from lerobot.policies.multi_task_dit.configuration_multi_task_dit import MultiTaskDiTConfig
    from lerobot.policies.multi_task_dit.modeling_multi_task_dit import MultiTaskDiTPolicy

    torch.manual_seed(0)
    options = {
        "horizon": 8, "n_action_steps": 4, "input_features": features(*(inputs or (STATE, IMAGE))), "output_features": OUTPUTS,
        "hidden_dim": 16, "num_layers": 1, "num_heads": 2, "timestep_embed_dim": 16, "image_resize_shape": (32, 32),
        "image_crop_shape": None, "vision_encoder_name": str(clip), "text_encoder_name": str(clip), "tokenizer_max_length": 12,
        "num_integration_steps": 5, "num_inference_steps": 5, "device": "cpu", "push_to_hub": False,
    }  # fmt: skip
    config = MultiTaskDiTConfig(**(options | changes))
    policy = MultiTaskDiTPolicy(config)
    with torch.no_grad():
        for parameter in policy.noise_predictor.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return save(policy, config, folder)
