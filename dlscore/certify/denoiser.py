"""The exact denoiser of a mixture, E[x₀ | x_t], fast enough for a million chunks.

For x₀ ~ Σ w_k N(μ_k, R ⊗ S_k) and x_t = α x₀ + σ ε, each component is linear in x_t, and their shares are a softmax of
quadratic forms. In the eigenbasis of R over time, entry j of the chunk has covariance r_j S_k, so that a component is H
matrices of 2 × 2. The forms of all chunks and components are then one product with the monomials of x_t, and the means
another.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from dlscore.certify.mixtures import HORIZON, Mixture


class Denoiser:
    """E[x₀ | x_t] of a mixture; `dtype` is that of its arithmetic."""

    def __init__(self, mixture: Mixture, dtype: torch.dtype = torch.float64) -> None:
        self.dtype = dtype
        over_time, basis = np.linalg.eigh(mixture.correlation)
        self._blocks = over_time[:, None, None] * mixture.covariances[:, None]  # (K, H, 2, 2)
        self._means = np.einsum("hj,khc->kjc", basis, mixture.chunks)  # (K, H, 2)
        self._log_weights = np.log(mixture.weights)
        self._basis = torch.tensor(basis, dtype=dtype)
        self._products = lru_cache(maxsize=2048)(self._make_products)

    def __call__(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """x̂₀ (B, H, 2) from chunks x (B, H, 2) at the noise level (α, σ); of the type of x."""
        columns = self.denoise_columns(x.to(self.dtype).permute(2, 1, 0).contiguous(), alpha, sigma)
        return columns.permute(2, 1, 0).contiguous().to(x.dtype)

    def denoise_columns(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """The same for chunks as columns (2, H, B), a layout in which every operation runs along the batch."""
        form, constant, means = self._products(alpha, sigma)
        along, across = turned = torch.matmul(self._basis.T, x)
        monomials = torch.cat([along * along, along * across, across * across, turned.view(2 * HORIZON, -1)])
        share = torch.addmm(constant, form, monomials).softmax(dim=0)
        gxx, gxy, gyy, bx, by = (means @ share).view(5, HORIZON, -1)
        clean = [bx + gxx * along + gxy * across, by + gxy * along + gyy * across]
        return torch.matmul(self._basis, torch.stack(clean))

    def _make_products(self, alpha: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        # (K, 5 H) and (K, 1): log shares; (5 H, K): gains G and offsets b of x̂₀ = G x + b. G is symmetric.
        noisy = alpha**2 * self._blocks + sigma**2 * np.eye(2)
        precision = np.linalg.inv(noisy)
        gain = alpha * self._blocks @ precision
        centre = alpha * self._means
        pull = (precision @ centre[..., None])[..., 0]
        xx, xy, yy = precision[..., 0, 0], precision[..., 0, 1], precision[..., 1, 1]
        form = np.stack([-0.5 * xx, -xy, -0.5 * yy, pull[..., 0], pull[..., 1]], axis=1)
        constant = self._log_weights - 0.5 * (np.log(np.linalg.det(noisy)).sum(-1) + (centre * pull).sum((-1, -2)))
        offset = self._means - (gain @ centre[..., None])[..., 0]
        means = np.stack([gain[..., 0, 0], gain[..., 0, 1], gain[..., 1, 1], offset[..., 0], offset[..., 1]], axis=1)
        count = len(constant)
        arrays = form.reshape(count, -1), (constant - constant.max())[:, None], means.reshape(count, -1).T.copy()
        return tuple(torch.tensor(each, dtype=self.dtype) for each in arrays)  # type: ignore[return-value]
