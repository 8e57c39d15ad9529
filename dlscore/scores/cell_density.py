"""A Gaussian mixture on the grid: the log of its mean density over each cell."""

from __future__ import annotations

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.grid import Grid


def log_cell_density(mean: Array, covariance: Array, grid: Grid) -> Array:
    """(N, N) log of the mixture's mean density over each cell [nats / px²]; mean (M, 2) px, covariance (M, 2, 2) px².

    Cells are integrated by Gauss-Legendre quadrature, with points closer than a standard deviation of the narrowest
    component, so that a mode narrower than a cell is neither missed nor counted twice. Far from every component, where
    the integral would underflow, the log density at the cell's centre is used.
    """
    narrowest = float(np.sqrt(np.linalg.eigvalsh(covariance).min()))
    order = int(np.clip(1 + np.ceil(1.25 * grid.cell / narrowest), 2, max(24, 400 // grid.resolution)))
    offsets, weights = leggauss(order)
    axis = (grid.centres[:, None] + offsets * grid.cell / 2).ravel()
    n, weight = grid.resolution, torch.from_numpy(weights / 2)
    coefficients = _coefficients(mean, covariance)
    rows = []
    for centre, y in zip(grid.centres, axis.reshape(n, order), strict=True):  # a row of cells at a time bounds memory
        # Below e^-700 numbers are denormal, which is 20 times slower and adds nothing.
        points = (_monomials(axis, y) @ coefficients).clamp_(min=-700).exp_().sum(dim=-1)
        density = torch.einsum("yxk,y,k->x", points.reshape(order, n, order), weight, weight)
        log_density, far = density.log(), density < 1e-250
        if far.any():
            away = _monomials(grid.centres[far.numpy()], np.array([centre]))[0]
            log_density[far] = torch.logsumexp(away @ coefficients, dim=-1)
        rows.append(log_density)
    cells: Array = (torch.stack(rows) - np.log(len(mean))).numpy()
    return cells


# The log density of a component, -½ (a-m)ᵀ P (a-m) + const, is a product of the coordinates' monomials with its
# coefficients. Coordinates are centred so that the terms that cancel stay small.
CENTRE = WORLD_SIZE / 2


def _coefficients(mean: Array, covariance: Array) -> Tensor:
    # (6, M)
    precision, (mx, my) = np.linalg.inv(covariance), (mean - CENTRE).T
    pxx, pxy, pyy = precision[:, 0, 0], precision[:, 0, 1], precision[:, 1, 1]
    constant = -0.5 * (pxx * mx**2 + 2 * pxy * mx * my + pyy * my**2)
    constant += -0.5 * np.log(np.linalg.det(covariance)) - np.log(2 * np.pi)
    return torch.from_numpy(np.stack([-pxx / 2, -pxy, -pyy / 2, pxx * mx + pxy * my, pxy * mx + pyy * my, constant]))


def _monomials(x: Array, y: Array) -> Tensor:
    # (len(y), len(x), 6)
    yy, xx = np.meshgrid(y - CENTRE, x - CENTRE, indexing="ij")
    return torch.from_numpy(np.stack([xx**2, xx * yy, yy**2, xx, yy, np.ones_like(xx)], axis=-1))
