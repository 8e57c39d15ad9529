"""A policy whose density is known: a Gaussian mixture over whole chunks in the place of the U-Net."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dlscore.grid import Grid
from dlscore.policy import Policy, load_policy


class MixtureNoise(nn.Module):
    """ε(x_t, t) of x_0 ~ Σ w_k N(μ_k, Σ) over flat chunks: -σ_t ∇ log p_t, p_t = Σ w_k N(α μ_k, α² Σ + σ² I)."""

    def __init__(self, means: np.ndarray, covariance: np.ndarray, weights: np.ndarray, alphas_cumprod: Tensor) -> None:
        super().__init__()
        self.dummy = nn.Parameter(torch.zeros(1))  # LeRobot asks the module's parameters for device and dtype
        values, vectors = np.linalg.eigh(covariance)
        self.values, self.vectors = torch.tensor(values), torch.tensor(vectors)
        self.means = torch.tensor(means)
        self.log_weights = torch.tensor(np.log(weights))
        self.alphas_cumprod = alphas_cumprod.double()
        self.calls: list[int] = []

    def forward(self, x: Tensor, timestep: Tensor, global_cond: Tensor | None = None) -> Tensor:
        self.calls.append(len(x))
        alpha2 = self.alphas_cumprod[timestep[0]]
        alpha, sigma2 = alpha2.sqrt(), 1 - alpha2
        spread = alpha2 * self.values + sigma2  # eigenvalues of the covariance of every component at t
        away = (x.double().flatten(1)[:, None] - alpha * self.means) @ self.vectors  # (B, K, H·2)
        log_p = self.log_weights - 0.5 * (away**2 / spread).sum(-1)
        share = log_p.softmax(dim=1)
        pull = ((share[..., None] * away / spread).sum(1)) @ self.vectors.T
        return (sigma2.sqrt() * pull).reshape(x.shape).to(x.dtype)


class Analytic:
    """Modes (K, 2) [normalised] of the current action, each a chunk through it, with a smooth temporal covariance."""

    def __init__(self, folder: Path, modes: np.ndarray, sigma: float, weights: np.ndarray | None = None) -> None:
        self.policy: Policy = load_policy(str(folder), device="cpu")
        h = self.policy.horizon
        lag = np.arange(h)[:, None] - np.arange(h)
        temporal = np.exp(-0.5 * (lag / 4.0) ** 2) + 1e-3 * np.eye(h)
        covariance = sigma**2 * np.kron(temporal / temporal[0, 0], np.eye(2))
        self.modes, self.sigma = np.asarray(modes, dtype=float), sigma
        self.weights = np.full(len(modes), 1 / len(modes)) if weights is None else np.asarray(weights)
        ramp = (np.arange(h) - self.policy.current)[:, None] * 0.01  # chunks move on, each mode its own way
        chunks = np.stack([mode + ramp * (-1) ** k for k, mode in enumerate(self.modes)]).reshape(len(modes), -1)
        self.unet = MixtureNoise(chunks, covariance, self.weights, self.policy.scheduler.alphas_cumprod)
        self.policy.policy.diffusion.unet = self.unet

    def density(self, grid: Grid, fine: int = 8) -> np.ndarray:
        """(N, N) true mean density of the current action over each cell [1 / px²]."""
        dense = Grid(grid.resolution * fine)
        scale = self.policy.to_px(np.ones(2)) - self.policy.to_px(np.zeros(2))
        away = (dense.actions[..., None, :] - self.policy.to_px(self.modes)) / (scale * self.sigma)
        values = (self.weights * np.exp(-0.5 * (away**2).sum(-1)) / (2 * np.pi * np.prod(scale) * self.sigma**2)).sum(
            -1
        )
        n = grid.resolution
        return values.reshape(n, fine, n, fine).mean(axis=(1, 3))


def total_variation(log_density: np.ndarray, truth: np.ndarray, grid: Grid) -> float:
    return float(0.5 * np.abs(np.exp(log_density) - truth).sum() * grid.cell_area)
