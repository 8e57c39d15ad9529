"""Policies whose density is known by a denoiser along a Gaussian path: diffusion and flow matching."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from dlscore.common.arrays import Array
from dlscore.policy.base import Policy, inference
from dlscore.policy.paths import GaussianPath
from dlscore.policy.sampler_steps import SamplerSteps

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["DenoiserPolicy"]


class DenoiserPolicy(Policy):
    """A family says its `path`, its `network`, and how its own sampler draws one batch, `integrate`."""

    kind: ClassVar[str] = "denoiser"

    @cached_property
    def path(self) -> GaussianPath:
        """The Gaussian path that the network was trained on."""
        raise NotImplementedError

    def network(self, x: Tensor, time: float, conditioning: Tensor) -> Tensor:
        """The network's output (B, H, 2) for chunks x (B, H, 2) at one `time`, under conditioning (B, D) or (1, D)."""
        raise NotImplementedError

    def integrate(self, conditioning: Tensor, noise: Tensor, streams: list[torch.Generator]) -> Tensor:
        """Chunks (B, H, 2) that the policy's own sampler makes of `noise` (B, H, 2); further noise is from the `streams`."""
        raise NotImplementedError

    @property
    def sampler_steps(self) -> int:
        """Network evaluations of the policy's own sampler per chunk."""
        raise NotImplementedError

    def chunk_evaluations(self, chunks: int) -> int:
        """`sampler_steps` for each chunk."""
        return chunks * self.sampler_steps

    @property
    def levels(self) -> Array:
        """(L,) noise levels v = σ / α, rising; all other methods take a level's index t."""
        return self.path.levels

    def noise_level(self, t: int) -> tuple[float, float]:
        """(α, σ) of level t."""
        return self.path.noise_level(t)

    def log_snr(self) -> Array:
        """(L,) log signal-to-noise ratio log(α² / σ²), falling."""
        snr: Array = -2 * np.log(self.levels)
        return snr

    def scale_timestep(self, t: int) -> int:
        """The level that corresponds to timestep t of 100."""
        return self.path.scale_timestep(t)

    def own_steps(self) -> SamplerSteps:
        """The steps of the policy's own sampler. Raises PolicyError where they are not of the linear form."""
        return self.path.own_steps()

    @inference
    def epsilon(self, x: Tensor, t: int, conditioning: Tensor) -> Tensor:
        """ε̂(x, t), the predicted noise (S, M, H, 2) of M noisy chunks under each of S conditionings (S, D).

        In a batch of one step, the embeddings of t and of the conditioning are computed once, not once per chunk. Several
        steps share a batch if one alone does not fill it.
        """
        import torch

        self._accelerate()
        steps, samples = x.shape[:2]
        together = max(1, self.batch_size // samples)
        rows = []
        for start in range(0, steps, together):
            group = conditioning[start : start + together]
            parts = []
            for part in torch.split(x[start : start + together], self.batch_size, dim=1):
                # One row of conditioning broadcasts over the batch.
                given = group if len(group) == 1 else group.repeat_interleave(part.shape[1], dim=0)
                output = self.network(part.flatten(0, 1), self.path.time(t), given).view(part.shape)
                parts.append(self.path.noise(output, part, t))
                self.evaluations += part.shape[0] * part.shape[1]
            rows.append(torch.cat(parts, dim=1))
        return torch.cat(rows)

    @inference
    def sample(self, conditioning: Tensor, seeds: list[list[int]]) -> Tensor:
        """Chunks (B, M, H, 2) from the policy's own sampler, each with a random stream of its own."""
        import torch

        self._accelerate()
        flat = [seed for row in seeds for seed in row]
        repeated = conditioning.repeat_interleave(len(seeds[0]), dim=0)
        shape = (self.horizon, len(self._scale))
        chunks = []
        for start in range(0, len(flat), self.batch_size):
            part = slice(start, start + self.batch_size)
            streams = [torch.Generator().manual_seed(seed) for seed in flat[part]]
            noise = torch.stack([torch.randn(shape, generator=stream) for stream in streams]).to(self.device)
            chunks.append(self.integrate(repeated[part], noise, streams))
            self.evaluations += len(streams) * self.sampler_steps
        return torch.cat(chunks).reshape(len(seeds), len(seeds[0]), *shape)

    def _accelerate(self) -> None:
        """Make the network faster before its first score: until then it gives LeRobot's own numbers to the last bit."""
