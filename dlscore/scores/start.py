"""Where the solver starts: chunks of the marginal at the first noise level, from Sobol points and a small pilot.

At the start y = x₀ + v ε, and v is so large that the marginal is nearly the Gaussian N(μ, Σ + v² I), with μ and Σ the mean
and covariance of whole chunks. A pilot of POINTS + 2 H + 1 evaluations measures them by Tweedie's formulas: D(y) ≈ μ + J (y - μ)
with J = Σ (Σ + v² I)⁻¹ (Robbins 1956; Meng et al. 2021, eq. 10). N(0, v² I), where LeRobot's sampler starts, has neither.

J is symmetric, and chunks are smooth in time, so most directions have next to no variance, and most eigenvalues of J are
next to 0. A trained network may have a slope of its own instead. Then J says nothing of Σ, and chunks start in N(μ, v² I), and
densities are made at the finest level only (`levels`), since no slope says a covariance above it. If J is even beyond what the
covariance of any data within [-1, 1] allows, the network does not denoise yet, and its probability flow goes elsewhere than its
sampler: 25 and 400 steps of training leave eigenvalues of J of 1.2 and -1.5, where the demo's are within -0.08 and 0.21.

The first Sobol dimensions, which are the most even, go to the directions that move the current action most.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch
from scipy.fft import idct
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.scores.denoise import predict_data

POINTS = 8  # chunks whose data predictions give the mean; antithetic, so that it is exact for Gaussian data
SPAN = 0.3  # step of the pilot's finite differences, in units of v
SKEW = 0.04  # |J - Jᵀ| / |J + Jᵀ|, above which J is the network's own slope (known densities: at most 0.013)
SLOPE = 0.25  # the median eigenvalue of J over the largest, above which J is the network's own slope
LARGEST = 0.5  # of eigenvalues of J: data within [-1, 1] have none beyond it, and none below 0
NEIGHBOURHOOD = 3.0  # [steps] width of the neighbourhood of the current action


@dataclass(frozen=True)
class Pilot:
    """Mean (S, 2H) and the eigenvectors (S, 2H, 2H) and eigenvalues (S, 2H) of the covariance Σ of clean chunks, normalised.

    believed: (S,) bool; where it is false, Σ is not known and the eigenvalues are 0. denoises: (S,) bool; where it is false, the
    network is no denoiser of any data within [-1, 1].
    """

    mean: Array
    vectors: Array
    variances: Array
    believed: Array
    denoises: Array

    def of(self, steps: Array) -> Pilot:
        """That of some of the steps, by index."""
        return Pilot(*(getattr(self, each.name)[steps] for each in fields(self)))


def pilot_evaluations(policy: DenoiserPolicy) -> int:
    """Network evaluations of `run_pilot` per step."""
    return POINTS + 2 * policy.horizon + 1


@torch.inference_mode()
def run_pilot(policy: DenoiserPolicy, conditioning: Tensor, t: int, clip: float | None, seed: int) -> Pilot:
    """The pilot of S steps at timestep t, under `conditioning` (S, D)."""
    count, size, v = len(conditioning), 2 * policy.horizon, float(policy.levels[t])
    half = normal_points(POINTS // 2, size, seed)
    around = v * np.concatenate([half, -half])
    mean = _predict(policy, conditioning, np.broadcast_to(around, (count, POINTS, size)), t).mean(axis=1)
    moves = np.vstack([np.zeros(size), SPAN * v * np.eye(size)])
    found = _predict(policy, conditioning, mean[:, None] + moves, t)  # (S, 1 + 2H, 2H)
    jacobian = (found[:, 1:] - found[:, :1]) / (SPAN * v)
    transposed = jacobian.swapaxes(1, 2)
    values, vectors = np.linalg.eigh((jacobian + transposed) / 2)
    skew, whole = (np.linalg.norm(each, axis=(1, 2)) for each in (jacobian - transposed, jacobian + transposed))
    denoises = np.abs(values).max(axis=1) <= LARGEST
    believed = (skew <= SKEW * whole) & (np.median(values, axis=1) <= SLOPE * values[:, -1])
    values = np.where(believed[:, None], np.clip(values, 0, LARGEST), 0)
    # D averages to μ - J μ over noise about 0.
    mean = np.einsum("sij,sj,skj,sk->si", vectors, 1 / (1 - values), vectors, mean)
    mean = mean if clip is None else np.clip(mean, -clip, clip)
    return Pilot(mean, vectors, v**2 * values / (1 - values), believed, denoises)


def start(policy: DenoiserPolicy, pilot: Pilot, samples: int, noise: float, seed: int) -> Array:
    """(S, M, H, 2) chunks y of N(μ, Σ + v² I) at the level v = `noise`, of N(μ, v² I) where Σ is not known."""
    size = 2 * policy.horizon
    points = normal_points(samples, size, seed)
    chunks = []
    for mean, vectors, variances in zip(pilot.mean, pilot.vectors, pilot.variances, strict=True):
        rotation = directions(policy.horizon, policy.current, vectors, variances)
        spread = (vectors * np.sqrt(variances + noise**2)) @ vectors.T
        chunks.append(mean + points @ (spread @ rotation).T)
    return np.stack(chunks).reshape(len(chunks), samples, policy.horizon, 2)


def directions(horizon: int, current: int, vectors: Array, variances: Array) -> Array:
    """(2H, 2H) orthonormal columns: what moves the current action, its neighbourhood, then the DCT-II modes from low to high.

    If the data are Gaussian, the flow takes the noise z to Σ^½ z, so the current action's rows of Σ^½ come first, if Σ is known.
    """
    now = slice(2 * current, 2 * current + 2)
    nearby = np.exp(-0.5 * ((np.arange(horizon) - current) / NEIGHBOURHOOD) ** 2)
    temporal = np.column_stack([nearby, idct(np.eye(horizon), axis=0, norm="ortho")])
    columns = np.kron(temporal, np.eye(2))
    if variances.any():
        columns = np.column_stack([(vectors * np.sqrt(variances)) @ vectors[now].T, columns])
    q, r = np.linalg.qr(columns)
    signed: Array = q * np.where(np.diag(r[:, : len(q)]) < 0, -1.0, 1.0)  # LAPACK does not define the signs
    return signed


@lru_cache(maxsize=8)
def normal_points(count: int, size: int, seed: int) -> Array:
    """(count, size) standard normal points, the first of one scrambled Sobol sequence (Owen 1998)."""
    sobol = qmc.Sobol(size, scramble=True, rng=np.random.default_rng(seed))
    points = sobol.random_base2((count - 1).bit_length())[:count]
    normal: Array = ndtri(np.clip(points, 1e-10, 1 - 1e-10))
    normal.flags.writeable = False  # it is shared
    return normal


def _predict(policy: DenoiserPolicy, conditioning: Tensor, y: Array, t: int) -> Array:
    # Data predictions of flat chunks (S, M, 2H).
    chunks = torch.tensor(y.reshape(*y.shape[:2], policy.horizon, 2)).to(conditioning)
    found: Array = predict_data(policy, conditioning, chunks, t).cpu().double().numpy().reshape(y.shape)
    return found
