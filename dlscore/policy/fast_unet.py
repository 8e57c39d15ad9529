"""A LeRobot U-Net on the CPU, evaluated faster: the same weights, the same arithmetic in another layout.

LeRobot's module stays, with its own forward; inside it

* a convolution becomes one dense product over unfolded rows (B · length, kernel · channels), through oneDNN's packed
  linear layer. The convolution kernels do badly on a chunk's short sequences: at down_dims 512/1024/2048, where two
  thirds of the work is at length 4, they reach half of what the product does;
* group normalisation runs in the layout that this leaves, channels last;
* mish is written with the sigmoid, which is vectorised, instead of tanh, log and exp, which are not.

Measured on 2 cores by `make bench` (dlscore/scores/README.md). The result differs by rounding, 2e-6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def accelerate(unet: nn.Module) -> bool:
    """Replace the layers of `unet` in place; False, with nothing done, if this build of torch has no oneDNN."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # type: ignore[no-untyped-call]
        return False
    for parent in list(unet.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv1d) and _is_plain(child):
                setattr(parent, name, RowConv(child))
            elif isinstance(child, nn.GroupNorm):
                setattr(parent, name, ChannelsLastGroupNorm(child))
            elif isinstance(child, nn.Mish):
                setattr(parent, name, SigmoidMish())
    return True


class RowConv(nn.Module):
    """nn.Conv1d on (B, channels, length), as a product of unfolded rows with packed weights."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
        self.bias = None if conv.bias is None else conv.bias.detach()
        weight = conv.weight.detach().permute(0, 2, 1).reshape(conv.out_channels, -1).contiguous()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight)

    def forward(self, x: Tensor) -> Tensor:
        rows, length = self._unfold(x.transpose(1, 2).contiguous())
        out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], "")
        return out.view(len(x), length, -1).transpose(1, 2)

    def _unfold(self, x: Tensor) -> tuple[Tensor, int]:
        # (B, L, C) -> (B · length, kernel · C): overlapping windows of the padded rows, which lie one after the other.
        batch, length, channels = x.shape
        if self.kernel == self.stride == 1:
            return x.view(batch * length, channels), length
        padded = F.pad(x, (0, 0, self.padding, self.padding))
        length = (length + 2 * self.padding - self.kernel) // self.stride + 1
        shape = (batch, length, self.kernel * channels)
        windows = padded.as_strided(shape, (padded.stride(0), self.stride * channels, 1))
        return windows.reshape(batch * length, -1), length


class ChannelsLastGroupNorm(nn.Module):
    """nn.GroupNorm on (B, channels, length) that lies in memory as (B, length, channels), and stays so."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x[:, :, None])[:, :, 0]  # torch recognises the layout only with four dimensions
        return out


class SigmoidMish(nn.Module):
    """mish(x) = x tanh(log(1 + eˣ)) = x (2 / (1 + s²) - 1) with s = sigmoid(-x)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(-x).square_().add_(1).reciprocal_().mul_(2).sub_(1).mul_(x)


def _is_plain(conv: nn.Conv1d) -> bool:
    return (
        conv.groups == 1 and conv.dilation == (1,) and conv.padding_mode == "zeros" and isinstance(conv.padding, tuple)
    )
