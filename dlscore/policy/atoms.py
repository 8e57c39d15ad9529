"""Policies that choose among finitely many chunks, each with a probability."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dlscore.policy.base import Policy, inference

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AtomsPolicy"]


class AtomsPolicy(Policy):
    """A family says its `count` of atoms, and what they are, `find_atoms`."""

    kind: ClassVar[str] = "atoms"

    @property
    def count(self) -> int:
        """K, the number of atoms."""
        raise NotImplementedError

    def find_atoms(self, conditioning: Tensor, density: str) -> tuple[Tensor, Tensor]:
        """(weights (S, K) float64, chunks (S, K, H, 2)) under conditioning (S, D).

        density: "executed", as the policy draws them, or "model", as its network models them.
        """
        raise NotImplementedError

    @inference
    def atoms(self, conditioning: Tensor, density: str = "executed") -> tuple[Tensor, Tensor]:
        """The same, each step counted as an evaluation."""
        self.evaluations += len(conditioning)
        return self.find_atoms(conditioning, density)

    @inference
    def sample(self, conditioning: Tensor, seeds: list[list[int]]) -> Tensor:
        """Chunks (B, M, H, 2) as the policy draws them, each with a random stream of its own."""
        import torch

        weights, chunks = self.atoms(conditioning)
        streams = [torch.Generator().manual_seed(seed) for row in seeds for seed in row]
        drawn = torch.stack([torch.rand((), dtype=torch.float64, generator=stream) for stream in streams])
        ends = weights.cumsum(dim=1).cpu()
        chosen = torch.searchsorted(ends, drawn.view(len(seeds), -1) * ends[:, -1:], right=True).clamp(
            max=self.count - 1
        )
        rows = torch.arange(len(chunks))[:, None]
        return chunks[rows.to(chunks.device), chosen.to(chunks.device)]
