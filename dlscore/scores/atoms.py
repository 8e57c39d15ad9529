"""The density of a policy of atoms: finitely many actions with probabilities, each seen through one Gaussian kernel.

    p(a) = Σ_k w_k N(a; a_k, σ² I)

The policy says the actions a_k and the probabilities w_k exactly, from one evaluation. It says no width: σ is a resolution at
which the atoms are looked at, as the least noise of a diffusion policy is. Nothing is estimated, so the estimated error is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlscore.density.mixture import Mixture
from dlscore.grid import Grid
from dlscore.scores.base import Scores
from dlscore.scores.error import DISTANCES

if TYPE_CHECKING:
    from torch import Tensor

    from dlscore.policy.atoms import AtomsPolicy

__all__ = ["atom_mixtures", "score_atoms"]


def atom_mixtures(policy: AtomsPolicy, conditioning: Tensor, density: str, kernel_px: float) -> list[Mixture]:
    """The density of the current action [px] of each of S steps under `conditioning` (S, D), "executed" or "model"."""
    weights, chunks = policy.atoms(conditioning, density)
    actions = policy.to_px(chunks[:, :, policy.current].cpu().double().numpy())  # (S, K, 2)
    kernel = np.broadcast_to(kernel_px**2 * np.eye(2), (policy.count, 2, 2))
    found = weights.cpu().double().numpy()
    return [Mixture(mean, kernel, weight, weight) for mean, weight in zip(actions, found, strict=True)]


def score_atoms(policy: AtomsPolicy, conditioning: Tensor, density: str, kernel_px: float, grid: Grid) -> Scores:
    """The scores of S steps: exact at the resolution of the kernel."""
    steps = len(conditioning)
    checks = {"error": np.zeros(steps), "log_error": np.zeros((steps, len(DISTANCES)))}
    return Scores.of_mixtures(atom_mixtures(policy, conditioning, density, kernel_px), grid, checks)
