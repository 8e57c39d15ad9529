"""Networks whose chunks have more entries than the policy's actions, the others being padding.

Vision-language-action models (π₀, SmolVLA) take chunks of P entries, of which an environment uses the first few. Padded entries
are 0 in the data, so in training they are x_pad = σ ε exactly. Their loss is cut off, so what the network predicts of them is not
trained, and integrating it, as LeRobot's samplers do, leads where no training was. Here they are imposed: x_pad = σ ε with one
ε for all chunks, at every level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ImposedPadding"]


@dataclass(frozen=True, eq=False)
class ImposedPadding:
    """A network of chunks (B, H, P) as one of chunks (B, H, 2). noise: (1, H, P - 2), ε of the padded entries."""

    network: Callable[[Tensor, float], Tensor]
    noise: Tensor

    def __call__(self, x: Tensor, time: float, sigma: float) -> Tensor:
        """The output (B, H, 2) for chunks x at the noise level σ, where the network's time is `time`."""
        import torch

        padded = sigma * self.noise.to(x).expand(len(x), -1, -1)
        return self.network(torch.cat([x, padded], dim=-1), time)[..., : x.shape[-1]]
