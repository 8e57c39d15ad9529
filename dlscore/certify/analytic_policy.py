"""A LeRobot policy whose U-Net is replaced by the exact noise prediction of a known density.

Noisy chunks of a Gaussian mixture are Gaussian mixtures too, and a perfect network predicts the noise
ε(x_t, t) = -σ_t ∇ log p_t(x_t) (Song et al. 2021, eq. 3 with Ho et al. 2020, eq. 4). Everything else is LeRobot's own:
encoder, processors, scheduler, sampler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlscore.certify.mixtures import HORIZON, NOW, Mixture
from dlscore.policy.diffusion import Policy

ACTION_RANGE = (12.0, 511.0)  # [px], about that of the human data


class MixtureNoise(nn.Module):
    """ε(x_t, t) of a Mixture, with the signature of LeRobot's U-Net: x (B, H, 2), timestep (B,) or (1,), all equal."""

    def __init__(self, mixture: Mixture, alphas_cumprod: Tensor) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))  # LeRobot asks the module's parameters for device and dtype
        over_time, time = np.linalg.eigh(mixture.correlation)
        in_plane, plane = np.linalg.eigh(mixture.covariances)
        self.plane = torch.tensor(plane)  # (K, 2, 2)
        self.time = torch.tensor(time)  # (H, H)
        self.spread = torch.tensor(over_time[:, None] * in_plane[:, None, :])  # (K, H, 2) eigenvalues of R ⊗ S_k
        self.means = torch.tensor(np.einsum("hj,khc,kcd->kjd", time, mixture.chunks, plane))
        self.log_weights = torch.tensor(np.log(mixture.weights))
        self.alphas_cumprod = alphas_cumprod.double()
        self.calls: list[int] = []

    def forward(self, x: Tensor, timestep: Tensor, global_cond: Tensor | None = None) -> Tensor:
        self.calls.append(len(x))
        alpha2 = self.alphas_cumprod[timestep[0]]
        alpha, sigma = alpha2.sqrt(), (1 - alpha2).sqrt()
        variance = alpha2 * self.spread + sigma**2
        turned = torch.einsum("hj,bhc,kcd->bkjd", self.time, x.double(), self.plane)
        away = turned - alpha * self.means
        log_p = self.log_weights - 0.5 * (away**2 / variance + variance.log()).sum((-1, -2))
        share = log_p.softmax(dim=1)
        pull = torch.einsum("bk,bkjd,hj,kcd->bhc", share, away / variance, self.time, self.plane)
        return (sigma * pull).to(x.dtype)


def make_policy(mixture: Mixture, **changes: Any) -> Policy:
    """A LeRobot DiffusionPolicy (DDPM, 100 steps, squared cosine, clip_sample) with the mixture for a U-Net."""
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
    from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
    from lerobot.policies.factory import make_pre_post_processors

    def span(size: int, low: float, high: float) -> dict[str, Tensor]:
        return {"min": torch.full((size,), low), "max": torch.full((size,), high)}

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
    config = DiffusionConfig(**(options | changes))
    policy = DiffusionPolicy(config).eval()
    stats = {
        "observation.state": span(2, 0.0, 512.0),
        "observation.environment_state": span(16, 0.0, 512.0),
        "action": span(2, *ACTION_RANGE),
    }
    preprocess, postprocess = make_pre_post_processors(config, dataset_stats=stats)
    policy.diffusion.unet = MixtureNoise(mixture, policy.diffusion.noise_scheduler.alphas_cumprod)
    return Policy(policy, preprocess, postprocess, name=f"analytic:{mixture.name}", revision="", fingerprint="",
                  device=torch.device("cpu"), batch_size=2048)  # fmt: skip


def encode_observation(policy: Policy) -> Tensor:
    """(1, D) conditioning of an observation, encoded like any other; an analytic policy does not depend on it."""
    windows = {name: np.full((1, NOW + 1, *shape), 256, dtype=np.float32) for name, shape in policy.inputs.items()}
    return policy.encode(windows)
