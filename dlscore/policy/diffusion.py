"""LeRobot's Diffusion Policy: a U-Net that predicts noise or the clean chunk, DDPM or DDIM."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from dlscore.common.arrays import Array
from dlscore.policy.base import inference
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.policy.paths import DiffusionPath
from dlscore.policy.schedule_fields import check_counts, check_schedule

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Diffusion"]


class Diffusion(DenoiserPolicy):
    """`type: diffusion` (Chi et al. 2023)."""

    family: ClassVar[str] = "diffusion"
    lerobot = (
        "lerobot.policies.diffusion.configuration_diffusion:DiffusionConfig",
        "lerobot.policies.diffusion.modeling_diffusion:DiffusionPolicy",
    )
    required = (
        "horizon", "n_obs_steps", "n_action_steps", "down_dims", "kernel_size", "n_groups", "diffusion_step_embed_dim",
        "use_film_scale_modulation", "noise_scheduler_type", "num_train_timesteps", "beta_schedule", "prediction_type",
        "clip_sample",
    )  # fmt: skip
    required_for_images = (
        "vision_backbone", "crop_shape", "use_group_norm", "spatial_softmax_num_keypoints",
        "use_separate_rgb_encoder_per_camera",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.accelerated = self.device.type != "cpu"

    @classmethod
    def check_config(cls, written: Mapping[str, Any], name: str) -> None:
        """Kinds and ranges of what LeRobot would refuse without naming the field, or take and fail much later."""
        check_schedule(written, name)
        horizon = written["horizon"]
        check_counts(written, name, {"horizon": 10_000, "n_obs_steps": horizon, "n_action_steps": horizon})

    @property
    def scheduler(self) -> Any:
        """The diffusers scheduler."""
        return self.policy.diffusion.noise_scheduler

    @property
    def alphas_cumprod(self) -> Array:
        """(timesteps,) ᾱ_t."""
        return self.path.alphas_cumprod

    @cached_property
    def path(self) -> DiffusionPath:
        """The scheduler's."""
        return DiffusionPath(self.scheduler, self.sampler_steps)

    @property
    def sampler_steps(self) -> int:
        """Network evaluations of the policy's own sampler per chunk."""
        return int(self.policy.diffusion.num_inference_steps)

    def describe_sampler(self) -> str:
        """Such as `DDPM, 100 steps`."""
        return f"{self.config.noise_scheduler_type}, {self.sampler_steps} steps"

    @inference
    def encode(self, windows: dict[str, Array]) -> Tensor:
        """Conditioning (B, D) of observation windows (B, n_obs_steps, …)."""
        conditioning: Tensor = self.policy.diffusion._prepare_global_conditioning(self.observe(windows))
        return conditioning

    def network(self, x: Tensor, time: float, conditioning: Tensor) -> Tensor:
        """The U-Net's output."""
        import torch

        times = torch.full((len(conditioning),), time, dtype=torch.long, device=x.device)
        output: Tensor = self.policy.diffusion.unet(x, times, global_cond=conditioning)
        return output

    def integrate(self, conditioning: Tensor, noise: Tensor, streams: list[torch.Generator]) -> Tensor:
        """LeRobot's own sampling."""
        chunks: Tensor = self.policy.diffusion.conditional_sample(
            len(streams), global_cond=conditioning, generator=streams, noise=noise
        )
        return chunks

    def _accelerate(self) -> None:
        if not self.accelerated:
            from dlscore.policy import fast_unet

            fast_unet.accelerate(self.policy.diffusion.unet)
            self.accelerated = True
