"""A LeRobot multi-task diffusion transformer whose network is replaced by the exact prediction of a known density.

Under flow matching (`policy.paths`) a perfect network gives u = A - (1 - σ_min) ε with A and ε replaced by their means given x:

    u = (E[A | x] - (1 - σ_min) x) / σ

Everything else is LeRobot's own: text and state encoder, normalisation, objective, integration.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlscore.certify.analytic_policy import MixtureNetwork, make_processors
from dlscore.certify.denoiser import Denoiser
from dlscore.certify.errors import CertifyError
from dlscore.certify.mixtures import HORIZON, NOW, Mixture
from dlscore.certify.schedules import choose_schedule
from dlscore.policy.multi_task_dit import MultiTaskDiT

__all__ = ["MixtureVelocity", "make_flow_policy"]

LEAST = 1e-6  # of σ, where the path ends in the data themselves
TINY = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


class MixtureVelocity(nn.Module):
    """The velocity of a Mixture at times (B,) or (1,), all equal; `backwards`: from data to noise, u = ε - A at time 1 - τ."""

    def __init__(self, mixture: Mixture, sigma_min: float = 0.0, *, backwards: bool = False) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))  # LeRobot asks the module's parameters for device and dtype
        self.denoiser = Denoiser(mixture)
        self.sigma_min, self.backwards = sigma_min, backwards

    def forward(self, x: Tensor, timestep: Tensor, conditioning_vec: Tensor | None = None) -> Tensor:
        time = float(timestep[0])
        tau = 1 - time if self.backwards else time
        sigma = max(1 - (1 - self.sigma_min) * tau, LEAST)
        exact = x.double()
        velocity = (self.denoiser(exact, tau, sigma) - (1 - self.sigma_min) * exact) / sigma
        return (-velocity if self.backwards else velocity).to(x.dtype)


class MixtureTransformer(MixtureNetwork):
    """`MixtureNetwork` with the signature of LeRobot's transformer, for its diffusion objective."""

    def forward(self, x: Tensor, timestep: Tensor, conditioning_vec: Tensor | None = None) -> Tensor:  # type: ignore[override]
        return super().forward(x, timestep)


class WithTokens:
    """A preprocessor that adds the tokens of one text, as LeRobot's tokenizer step does."""

    def __init__(self, preprocess: Any) -> None:
        self.preprocess, self.steps = preprocess, preprocess.steps

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.preprocess(batch)
        tokens = torch.tensor([[1, 2]] * len(found["observation.state"]))
        return found | {"observation.language.tokens": tokens, "observation.language.attention_mask": tokens > 0}


def make_flow_policy(mixture: Mixture, schedule: str = "flow", **changes: Any) -> MultiTaskDiT:
    """A MultiTaskDiTPolicy with the mixture for a network, under a schedule of `schedules`; `changes` go before it."""
    try:
        from lerobot.policies.multi_task_dit import modeling_multi_task_dit as modeling
        from transformers import CLIPTextConfig, CLIPTextModel
    except ImportError as error:
        raise CertifyError(
            "--family multi_task_dit needs transformers; pip install '.[score,dit]' in the source"
        ) from error
    config = _make_config(choose_schedule(schedule) | changes)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=4, max_position_embeddings=2, eos_token_id=2, **TINY))
    plain, modeling.CLIPTextModel = modeling.CLIPTextModel, _Given(text)
    try:
        policy = modeling.MultiTaskDiTPolicy(config).eval()
    finally:
        modeling.CLIPTextModel = plain
    if config.is_diffusion:
        scheduler = policy.objective.noise_scheduler
        policy.noise_predictor = MixtureTransformer(mixture, scheduler.alphas_cumprod, config.prediction_type)
    else:
        policy.noise_predictor = MixtureVelocity(mixture, config.sigma_min)
    preprocess, postprocess = make_processors(config)
    return MultiTaskDiT(policy, WithTokens(preprocess), postprocess, name=f"analytic:{mixture.name}", revision="",
                        fingerprint="", device=torch.device("cpu"), batch_size=2048)  # fmt: skip


class _Given:
    def __init__(self, model: Any) -> None:
        self.model = model

    def from_pretrained(self, name: str) -> Any:
        return self.model


def _make_config(changes: dict[str, Any]) -> Any:
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.multi_task_dit.configuration_multi_task_dit import MultiTaskDiTConfig

    options: dict[str, Any] = {
        "n_obs_steps": NOW + 1,
        "horizon": HORIZON,
        "n_action_steps": 8,
        "objective": "diffusion",
        "input_features": {"observation.state": PolicyFeature(type=FeatureType.STATE, shape=(2,))},
        "output_features": {"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
        "normalization_mapping": dict.fromkeys(("STATE", "ACTION"), "MIN_MAX"),
        "hidden_dim": 8,
        "num_layers": 1,
        "num_heads": 1,
        "timestep_embed_dim": 8,
        "device": "cpu",
        "push_to_hub": False,
    }
    return MultiTaskDiTConfig(**(options | changes))
