"""A LeRobot policy whose U-Net is replaced by the exact prediction of a known density.

Noisy chunks of a Gaussian mixture are Gaussian mixtures too, and a perfect network predicts the clean chunk
E[x₀ | x_t], or the noise ε = (x_t - α E[x₀ | x_t]) / σ = -σ ∇ log p_t(x_t) (Song et al. 2021, eq. 3 with Ho et al. 2020,
eq. 4). Everything else is LeRobot's own: encoder, processors, scheduler, sampler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlscore.certify.denoiser import Denoiser
from dlscore.certify.mixtures import ACTION_RANGE, HORIZON, NOW, Mixture
from dlscore.certify.schedules import choose_schedule
from dlscore.policy.base import Policy
from dlscore.policy.diffusion import Diffusion


class MixtureNetwork(nn.Module):
    """The prediction of a Mixture, with the signature of LeRobot's U-Net: x (B, H, 2), timestep (B,) or (1,), all equal."""

    def __init__(self, mixture: Mixture, alphas_cumprod: Tensor, prediction_type: str) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))  # LeRobot asks the module's parameters for device and dtype
        self.denoiser = Denoiser(mixture)
        self.alphas_cumprod = alphas_cumprod.double()
        self.prediction_type = prediction_type
        self.calls: list[int] = []

    def forward(self, x: Tensor, timestep: Tensor, global_cond: Tensor | None = None) -> Tensor:
        self.calls.append(len(x))
        alpha2 = self.alphas_cumprod[timestep[0]]
        alpha, sigma = float(alpha2.sqrt()), float((1 - alpha2).sqrt())
        exact = x.double()
        clean = self.denoiser(exact, alpha, sigma)
        return (clean if self.prediction_type == "sample" else (exact - alpha * clean) / sigma).to(x.dtype)


def make_policy(mixture: Mixture, schedule: str = "cosine", **changes: Any) -> Diffusion:
    """A LeRobot DiffusionPolicy with the mixture for a U-Net, under a schedule of `schedules.SCHEDULES`.

    `changes` are fields of LeRobot's config and go before the schedule's; `variance_type` is one of the scheduler alone,
    which LeRobot's config does not have.
    """
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

    chosen = choose_schedule(schedule) | changes
    variance_type = chosen.pop("variance_type", None)
    config = _make_config(chosen)
    policy = DiffusionPolicy(config).eval()
    scheduler = policy.diffusion.noise_scheduler
    if variance_type is not None:
        policy.diffusion.noise_scheduler = type(scheduler).from_config(scheduler.config, variance_type=variance_type)
    preprocess, postprocess = make_processors(config)
    policy.diffusion.unet = MixtureNetwork(mixture, scheduler.alphas_cumprod, config.prediction_type)
    return Diffusion(policy, preprocess, postprocess, name=f"analytic:{mixture.name}", revision="", fingerprint="",
                     device=torch.device("cpu"), batch_size=2048)  # fmt: skip


def make_processors(config: Any) -> tuple[Any, Any]:
    """LeRobot's pre- and postprocessor of a config, for a world of 512 px and the mixtures' range of actions."""
    from lerobot.policies.diffusion.processor_diffusion import make_diffusion_pre_post_processors

    def span(size: int, low: float, high: float) -> dict[str, Tensor]:
        return {"min": torch.full((size,), low), "max": torch.full((size,), high)}

    stats = {
        "observation.state": span(2, 0.0, 512.0),
        "observation.environment_state": span(16, 0.0, 512.0),
        "action": span(2, *ACTION_RANGE),
    }
    made: tuple[Any, Any] = make_diffusion_pre_post_processors(config, dataset_stats=stats)
    return made


def _make_config(changes: dict[str, Any]) -> Any:
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig

    options: dict[str, Any] = {
        "n_obs_steps": NOW + 1,
        "horizon": HORIZON,
        "n_action_steps": 8,
        "input_features": {
            "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(2,)),
            "observation.environment_state": PolicyFeature(type=FeatureType.ENV, shape=(16,)),
        },
        "output_features": {"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
        "normalization_mapping": dict.fromkeys(("STATE", "ENV", "ACTION"), "MIN_MAX"),
        "pretrained_backbone_weights": None,
        "down_dims": (8, 16),
        "n_groups": 4,
        "device": "cpu",
        "push_to_hub": False,
    }
    return DiffusionConfig(**(options | changes))


def encode_observation(policy: Policy) -> Tensor:
    """(1, D) conditioning of an observation, encoded like any other; an analytic policy does not depend on it."""
    windows = {name: np.full((1, NOW + 1, *shape), 256, dtype=np.float32) for name, shape in policy.inputs.items()}
    return policy.encode(windows)
