"""A Gaussian mixture on the grid: the log of its mean density over each cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from torch import Tensor

from dlscore.grid import ACTION_SPAN, Grid

Array = NDArray[Any]


def log_cell_density(mean: Array, covariance: Array, grid: Grid) -> Array:
    """(N, N) log of the mixture's mean density over each cell [nats / px²]; mean (M, 2) px, covariance (M, 2, 2) px².

    Cells are integrated by Gauss-Legendre points, as many as keep neighbouring ones well within a deviation of the
    narrowest component: a mode narrower than a cell is neither missed nor counted twice. Where the integral would
    underflow, far from every component, the log density at the cell's centre stands for it.
    """
    narrowest = float(np.sqrt(np.linalg.eigvalsh(covariance).min()))
    order = int(np.clip(1 + np.ceil(1.25 * grid.cell / narrowest), 2, 24))
    offsets, weights = leggauss(order)
    axis = (grid.centres[:, None] + offsets * grid.cell / 2).ravel()
    n, weight = grid.resolution, torch.from_numpy(weights / 2)
    rows = []
    for centre, y in zip(grid.centres, axis.reshape(n, order), strict=True):  # a row of cells at a time bounds memory
        # e^-700 is the last power that is no denormal number; those are 20 times slower and would add nothing.
        points = _log_components(mean, covariance, axis, y).clamp_(min=-700).exp_().sum(dim=-1)
        density = torch.einsum("yxk,y,k->x", points.reshape(order, n, order), weight, weight)
        far = torch.logsumexp(_log_components(mean, covariance, grid.centres, np.array([centre]))[0], dim=-1)
        rows.append(torch.where(density > 1e-250, density.log(), far))
    cells: Array = (torch.stack(rows) - np.log(len(mean))).numpy()
    return cells


def _log_components(mean: Array, covariance: Array, x: Array, y: Array) -> Tensor:
    # (len(y), len(x), M) log density of every component: -½ (a-m)ᵀ P (a-m) + const is a product of the coordinates'
    # monomials with its coefficients. Coordinates are centred so that the terms that cancel stay small.
    centre = ACTION_SPAN / 2
    precision, (mx, my) = np.linalg.inv(covariance), (mean - centre).T
    pxx, pxy, pyy = precision[:, 0, 0], precision[:, 0, 1], precision[:, 1, 1]
    constant = -0.5 * (pxx * mx**2 + 2 * pxy * mx * my + pyy * my**2)
    constant += -0.5 * np.log(np.linalg.det(covariance)) - np.log(2 * np.pi)
    coefficients = np.stack([-pxx / 2, -pxy, -pyy / 2, pxx * mx + pxy * my, pxy * mx + pyy * my, constant])
    yy, xx = np.meshgrid(y - centre, x - centre, indexing="ij")
    monomials = np.stack([xx**2, xx * yy, yy**2, xx, yy, np.ones_like(xx)], axis=-1)
    return torch.from_numpy(monomials) @ torch.from_numpy(coefficients)
