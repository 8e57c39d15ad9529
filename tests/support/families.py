"""Tiny LeRobot policies of other families (random weights), saved in LeRobot's own formats."""

from pathlib import Path

import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from lerobot.policies.vqbet.configuration_vqbet import VQBeTConfig
from lerobot.policies.vqbet.modeling_vqbet import VQBeTPolicy
from safetensors.torch import save_file

from dlscore.episodes.episode import ACTION, ENVIRONMENT, IMAGE, STATE
from support import stub

FEATURES = {
    STATE: PolicyFeature(type=FeatureType.STATE, shape=(2,)),
    ENVIRONMENT: PolicyFeature(type=FeatureType.ENV, shape=(16,)),
    IMAGE: PolicyFeature(type=FeatureType.VISUAL, shape=(3, 96, 96)),
}
OUTPUTS = {ACTION: PolicyFeature(type=FeatureType.ACTION, shape=(2,))}


def features(*names: str) -> dict[str, PolicyFeature]:
    return {name: FEATURES[name] for name in names}


def save(policy, config, folder: Path) -> Path:
    """The policy as LeRobot saves it, with its processors."""
    policy.save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=stub.stats_of(config)):
        processor.save_pretrained(folder)
    return folder


def save_vqbet(folder: Path, *, spread: float = 20.0, sharpness: float = 3.0, **changes) -> Path:
    """A VQ-BeT whose codes are `spread` apart and whose logits are `sharpness` times those of fresh weights."""
    torch.manual_seed(0)
    options = {
        "n_obs_steps": 2, "n_action_pred_token": 2, "action_chunk_size": 3, "input_features": features(IMAGE, STATE),
        "output_features": OUTPUTS, "pretrained_backbone_weights": None, "crop_shape": (84, 84), "use_group_norm": True,
        "spatial_softmax_num_keypoints": 4, "vqvae_n_embed": 4, "vqvae_embedding_dim": 8, "vqvae_enc_hidden_dim": 16,
        "gpt_block_size": 16, "gpt_input_dim": 16, "gpt_output_dim": 16, "gpt_n_layer": 1, "gpt_n_head": 2,
        "gpt_hidden_dim": 16, "device": "cpu", "push_to_hub": False,
    }  # fmt: skip
    config = VQBeTConfig(**(options | changes))
    policy = VQBeTPolicy(config)
    head = policy.vqbet.action_head
    with torch.no_grad():
        head.vqvae_model.discretized.fill_(True)
        for layer in (head.map_to_cbet_preds_offset, head.vqvae_model.decoder):
            layer[-1].weight.mul_(spread / 4)
        for name in ("bin", "primary_bin", "secondary_bin"):
            if hasattr(head, f"map_to_cbet_preds_{name}"):
                getattr(head, f"map_to_cbet_preds_{name}")[-1].weight.mul_(sharpness)
    return save(policy, config, folder)


def as_legacy(folder: Path) -> Path:
    """The checkpoint as LeRobot 0.3 kept it: statistics inside the weights, no processor files."""
    from dlscore.policy.load import load_policy

    policy = load_policy(str(folder), device="cpu").policy
    weights = dict(policy.state_dict())
    for name, values in stub.stats_of(policy.config).items():
        for module in ("normalize_targets", "unnormalize_outputs") if name == ACTION else ("normalize_inputs",):
            for statistic, tensor in values.items():
                mode = policy.config.normalization_mapping.get(
                    (policy.config.input_features | OUTPUTS)[name].type.value
                )
                if mode is not None and statistic in {"MIN_MAX": ("min", "max"), "MEAN_STD": ("mean", "std")}.get(
                    mode.value, ()
                ):
                    weights[f"{module}.buffer_{name.replace('.', '_')}.{statistic}"] = tensor.clone()
    save_file(weights, folder / "model.safetensors")
    for file in folder.glob("policy_*"):
        file.unlink()
    return folder


def save_act(folder: Path, *inputs: str, **changes) -> Path:
    """A small ACT."""
    torch.manual_seed(0)
    options = {
        "chunk_size": 6, "n_action_steps": 4, "input_features": features(*(inputs or (ENVIRONMENT, STATE))),
        "output_features": OUTPUTS, "pretrained_backbone_weights": None, "dim_model": 16, "n_heads": 2, "dim_feedforward": 16,
        "n_encoder_layers": 1, "n_vae_encoder_layers": 1, "latent_dim": 4, "device": "cpu", "push_to_hub": False,
        "normalization_mapping": {"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ENV": "MIN_MAX", "ACTION": "MIN_MAX"},
    }  # fmt: skip
    config = ACTConfig(**(options | changes))
    return save(ACTPolicy(config), config, folder)
