"""A LeRobot DiffusionPolicy as this project sees it: encode, predict the noise, sample chunks, change units.

Chunks are tensors (B, H, 2) in the policy's normalised units unless a name says px. H is the horizon; the current
action is index `current` = n_obs_steps - 1. The forward process is x_t = α_t x_0 + σ_t ε with α_t² = ᾱ_t, σ_t² = 1 - ᾱ_t
(Ho et al. 2020, eq. 4); t is a timestep of the policy's own scheduler.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.policy import fast_unet
from dlscore.policy.errors import PolicyError

STATISTICS = ("mean", "std", "min", "max")
NARROWEST_RANGE = 8.0  # px between normalised -1 and 1 of an action: less is another unit, such as [-1, 1]


class Policy:
    """A loaded policy: LeRobot's `policy`, `preprocess` and `postprocess`, and what scoring needs of them.

    `evaluations` counts chunks through the network since it was last set to 0; `notes` are what its user should know of
    how it was loaded."""

    def __init__(self, policy: Any, preprocess: Any, postprocess: Any, *, name: str, revision: str, fingerprint: str,
                 device: torch.device, batch_size: int = 256, notes: tuple[str, ...] = ()) -> None:  # fmt: skip
        self.policy, self.preprocess, self.postprocess = policy, preprocess, postprocess
        self.name, self.revision, self.fingerprint = name, revision, fingerprint
        self.device, self.batch_size, self.notes = device, batch_size, notes
        self.config = policy.config
        self.horizon, self.current = int(self.config.horizon), int(self.config.n_obs_steps) - 1
        self.evaluations = 0
        self.encodings = 0
        self.accelerated = self.device.type != "cpu"
        self.scheduler = policy.diffusion.noise_scheduler
        self.alphas_cumprod = self.scheduler.alphas_cumprod.cpu().double().numpy()
        self._offset, self._scale = self._affine()

    @property
    def sampler_steps(self) -> int:
        """Network evaluations of the policy's own sampler per chunk."""
        return int(self.policy.diffusion.num_inference_steps)

    @property
    def device_name(self) -> str:
        """The device as its maker calls it."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return platform.processor() or platform.machine()

    def describe_config(self) -> dict[str, Any]:
        """The fields of LeRobot's config that are plain values, lists or tables of them."""
        return {name: value for name, value in vars(self.config).items() if _is_plain(value)}

    def describe_statistics(self) -> dict[str, dict[str, list[float]]]:
        """The normalisation statistics of actions and numeric observations: feature -> statistic -> values."""
        found: dict[str, dict[str, list[float]]] = {}
        known = {**self.config.input_features, **self.config.output_features}
        for step in (*self.preprocess.steps, *self.postprocess.steps):
            for feature, statistics in (getattr(step, "_tensor_stats", None) or {}).items():
                if feature not in known:
                    continue
                values = {name: value.flatten().tolist() for name, value in statistics.items() if value.numel() <= 64}
                found.setdefault(feature, {}).update(
                    {name: each for name, each in values.items() if name in STATISTICS}
                )
        return found

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Observation features that the policy takes, with their shapes."""
        return {name: tuple(feature.shape) for name, feature in self.config.input_features.items()}

    @torch.inference_mode()
    def encode(self, windows: dict[str, Array]) -> Tensor:
        """Conditioning (B, D) of observation windows (B, n_obs_steps, …), through the policy's own preprocessor."""
        batch = self.preprocess({name: torch.as_tensor(values) for name, values in windows.items()})
        images = list(self.config.image_features)
        if images:
            batch["observation.images"] = torch.stack([batch[name] for name in images], dim=-4)
        self.encodings += len(batch["observation.state"])
        conditioning: Tensor = self.policy.diffusion._prepare_global_conditioning(batch)
        return conditioning

    @torch.inference_mode()
    def epsilon(self, x: Tensor, t: int, conditioning: Tensor) -> Tensor:
        """ε(x_t, t), the predicted noise (S, M, H, 2) of M noisy chunks under each of S conditionings (S, D).

        In a batch of one step, the embeddings of t and of the conditioning are computed once, not once per chunk. Several
        steps share a batch if one alone does not fill it.
        """
        self._accelerate()
        alpha, sigma = self.noise_level(t)
        steps, samples = x.shape[:2]
        together = max(1, self.batch_size // samples)
        rows = []
        for start in range(0, steps, together):
            group = conditioning[start : start + together]
            parts = []
            for part in torch.split(x[start : start + together], self.batch_size, dim=1):
                # One row of conditioning broadcasts over the batch.
                given = group if len(group) == 1 else group.repeat_interleave(part.shape[1], dim=0)
                times = torch.full((len(given),), t, dtype=torch.long, device=x.device)
                output = self.policy.diffusion.unet(part.flatten(0, 1), times, global_cond=given).view(part.shape)
                parts.append((part - alpha * output) / sigma if self.config.prediction_type == "sample" else output)
                self.evaluations += part.shape[0] * part.shape[1]
            rows.append(torch.cat(parts, dim=1))
        return torch.cat(rows)

    def scale_timestep(self, t: int) -> int:
        """The timestep of this policy's schedule that corresponds to t in a schedule of 100."""
        count = len(self.alphas_cumprod)
        return max(0, round((t + 1) * count / 100) - 1)  # timestep t ends its part of the schedule

    def noise_level(self, t: int) -> tuple[float, float]:
        """(α_t, σ_t)."""
        return float(np.sqrt(self.alphas_cumprod[t])), float(np.sqrt(1 - self.alphas_cumprod[t]))

    def log_snr(self) -> Array:
        """(timesteps,) log signal-to-noise ratio log(α_t² / σ_t²), falling with t."""
        snr: Array = np.log(self.alphas_cumprod / (1 - self.alphas_cumprod))
        return snr

    @torch.inference_mode()
    def sample(self, conditioning: Tensor, seeds: list[list[int]]) -> Tensor:
        """Chunks (B, M, H, 2) from the policy's own sampler, M for each conditioning (B, D).

        Every chunk has its own random stream, seeds[b][m], so it does not depend on the rest of its batch.
        """
        self._accelerate()
        flat = [seed for row in seeds for seed in row]
        repeated = conditioning.repeat_interleave(len(seeds[0]), dim=0)
        shape = (self.horizon, len(self._scale))
        chunks = []
        for start in range(0, len(flat), self.batch_size):
            part = slice(start, start + self.batch_size)
            streams = [torch.Generator().manual_seed(seed) for seed in flat[part]]
            noise = torch.stack([torch.randn(shape, generator=stream) for stream in streams]).to(self.device)
            chunks.append(
                self.policy.diffusion.conditional_sample(
                    len(streams), global_cond=repeated[part], generator=streams, noise=noise
                )
            )
            self.evaluations += len(streams) * self.sampler_steps
        return torch.cat(chunks).reshape(len(seeds), len(seeds[0]), *shape)

    def _accelerate(self) -> None:
        # Not before the first score: until then `policy` gives LeRobot's own numbers to the last bit.
        if not self.accelerated:
            fast_unet.accelerate(self.policy.diffusion.unet)
            self.accelerated = True

    def to_px(self, normalised: Array) -> Array:
        """Normalised actions (..., 2) in px."""
        return np.asarray(normalised, dtype=np.float64) * self._scale + self._offset

    def from_px(self, px: Array) -> Array:
        """Actions (..., 2) [px] in normalised units."""
        return (np.asarray(px, dtype=np.float64) - self._offset) / self._scale

    @property
    def px_per_unit(self) -> Array:
        """(2,) d px / d normalised of an action."""
        return self._scale

    def _affine(self) -> tuple[Array, Array]:
        # The postprocessor's unnormalisation, whatever its mode, read off three points. It is affine or refused.
        values = self.postprocess(torch.tensor([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0]])).cpu().double().numpy()
        offset, scale = values[0], (values[1] - values[2]) / 2
        if (
            not np.isfinite(values).all()
            or not np.allclose(values[1] - values[0], scale, rtol=1e-3)
            or (scale <= 0).any()
        ):
            raise PolicyError(
                f"policy {self.name} has action statistics that are not a scale and an offset: {values.tolist()}"
            )
        if np.all(scale == 1) and np.all(offset == 0):
            raise PolicyError(
                f"policy {self.name} does not normalise its actions; PushT policies do: its processor files lack the "
                "data set's statistics"
            )
        if (2 * scale < NARROWEST_RANGE).any():
            low, high = ((offset + end * scale).round(3).tolist() for end in (-1, 1))
            raise PolicyError(
                f"policy {self.name} has actions from {low} to {high}, which cannot be px of a world of {WORLD_SIZE} px: "
                "train it on actions in px, or put their statistics in px into its processor files"
            )
        return offset, scale


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
