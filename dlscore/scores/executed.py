"""From the density that the network models to the one that the policy executes.

A policy's own sampler takes steps of finite length, adds less noise than the posterior has (DDPM, `fixed_small`) and none in
its last step, so its actions are narrower than the network's density. For Gaussian data of variance λ each step is linear
(`policy.sampler_steps`), and what it makes of them is exact:

- V(λ), the variance of y = x / α when the sampler comes to a noise level (the model's is λ + v²);
- F(λ), the variance of the action in the end; and f(λ), its variance given y at that level, from there on.

Given y, the mean of the action is the posterior mean κ y whatever the steps, so κ² V + f = F. Here each chunk's posterior plays
the Gaussian: the solver gives chunks the deviation √V (`solver`), and the kernel at level v is f of the posterior covariance,
an eigenvalue c of which belongs to λ = c v² / (v² - c). For the model's density F = λ, f = c, V = λ + v².

At a level that the sampler does not visit, and from its last step on, where f = 0 (DDIM: everywhere), V and f are not used.
There chunks follow the model's flow, and both parts of the variance shrink by F / λ: the kernel is f = c F / λ, and the mean
moves towards that of the data nearby, μ = y + (y - D) v² / (c - v²), until its deviation is √(F / λ) of what it was.

A sampler may start below the end of its schedule, from N(0, I) all the same: diffusers takes every ⌊T / n⌋th timestep from 0 up.
The data's mean should show there, and does not: actions are off by a share of it, which a sampler without noise never loses.

DDIM clips x̂₀, and adds the noise that the unclipped x̂₀ implies. Where a mode lies beyond the clip, each step so moves a chunk
inwards once more, and after many it ends far from the edge. This is told as an error (`sampler_bias`), not modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dlscore.common.arrays import Array
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.policy.sampler_steps import SamplerStep, SamplerSteps, gaussian_path
from dlscore.scores.base import ScorerError
from dlscore.scores.denoise import Posterior, symmetric
from dlscore.scores.solver import data_gain, data_variances

NARROWEST = 0.004  # smallest standard deviation of a component in normalised units, about 1 px
LARGEST = 0.98  # of c / v² that is believed: 1 is data of infinite width
FARTHEST = 0.7  # largest relative deviation of the spectrum that is believed
UNIFORM = 3**-0.5  # deviation of even data in [-1, 1]: wider ones are several modes, between which no mean moves
# What was certified (`dlscore certify --schedule`), for data of the deviation TYPICAL in normalised units:
TYPICAL = 0.1
DEPARTURE = 0.22  # of the actions' deviation from the network's: 50 of 50 steps of DDPM
SHRINKAGE = 0.16  # of means: 33 of 100 steps of DDIM
WIDE, SHIFT = 0.5, 0.05  # and by how many executed deviations data of the deviation WIDE are off, for a mean of 1
# Total variation to be expected:
SHRUNK = 0.1  # for each unit of shrinkage: about half of what it is for mixtures; one Gaussian has none
DRIFT = 0.7  # for each unit of the chunks whose mode is beyond the clip, where those drift


@dataclass(frozen=True)
class Execution:
    """What is executed of Gaussian data of each variance in `solver.data_variances()`, at the nodes of the solver.

    `deviations` (K + 1, W): √V of y; `ratios` (K + 1, W): f / c, of the kernel's variance to the posterior's;
    `shrinkage` (K + 1, W): of the deviation of the mean, 0 where V has it already. `bias`: the total variation to be expected
    from means that shrink at the last node, where data are no Gaussians.
    """

    deviations: Array
    ratios: Array
    shrinkage: Array
    bias: float = 0.0


@lru_cache(maxsize=4)
def own_sampler(policy: DenoiserPolicy) -> SamplerSteps:
    """The steps of the policy's own sampler, read off once: a thousand of them take half a second."""
    return policy.own_steps()


def find_execution(policy: DenoiserPolicy, density: str, nodes: tuple[int, ...]) -> Execution:
    """Of a density, executed or model, at timesteps `nodes`. Raises ScorerError for a sampler too far from its network."""
    variances, noise = data_variances(), policy.levels[list(nodes), None]
    deviations = np.sqrt(variances + noise**2)
    if density == "model":
        return Execution(deviations, np.ones_like(deviations), np.zeros_like(deviations))
    steps = own_sampler(policy).steps
    path = gaussian_path(steps, 0.0, variances)[1]
    shape = deviations.shape
    ratios = np.broadcast_to(path[-1] / variances, shape).copy()
    shrinkage = np.broadcast_to(1 - np.sqrt(path[-1] / variances), shape).copy()
    visited = [step.t for step in steps]
    for k, t in enumerate(nodes):
        if t in visited and any(step.noise_variance for step in steps[visited.index(t) :]):
            at = visited.index(t)
            given = gaussian_path(steps[at:], 0.0, variances, 0.0, 0.0)[1][-1]
            deviations[k], shrinkage[k] = np.sqrt(path[at]) / steps[at].alpha, 0
            ratios[k] = given / (data_gain(variances, noise[k]) * noise[k] ** 2)
    shrunk = _typical_shrinkage(policy, steps, bool(shrinkage[-1].any()))
    return Execution(deviations, ratios, shrinkage, SHRUNK * abs(shrunk))


def _typical_shrinkage(policy: DenoiserPolicy, steps: Sequence[SamplerStep], shrinks: bool) -> float:
    # By how much typical data shrink; 0 unless means `shrink` at the last node. Raises ScorerError for a sampler too far off.
    means, path = gaussian_path(steps, 1.0, np.square([TYPICAL, WIDE]))
    kept, shift = float(np.sqrt(path[-1, 0])) / TYPICAL, float(abs(1 - means[-1, 1]) / np.sqrt(path[-1, 1]))
    shrunk = 1 - kept if shrinks else 0.0
    if (abs(kept - 1) > DEPARTURE or shrunk > SHRINKAGE) and (kept < 1 or shift <= SHIFT):
        raise ScorerError(
            f"the policy's own sampler of {len(steps)} steps makes actions that have {kept:.2f} of the deviation that its "
            "network models, too far from it to be told from the network; choose --density model, or --sampler policy"
        )
    if shift > SHIFT:
        raise ScorerError(
            f"the policy's own sampler of {len(steps)} steps makes actions that are off by {shift:.2f} of their deviation for "
            f"each unit of the data's mean, which the network does not tell: its steps start at timestep {steps[0].t} of 0 to "
            f"{len(policy.levels) - 1}, from noise without that mean; choose a num_inference_steps that divides "
            f"{len(policy.levels)}, or --density model, or --sampler policy"
        )
    return shrunk


def visited_timesteps(policy: DenoiserPolicy, density: str) -> tuple[int, ...]:
    """The timesteps that are better than others to make densities at: of the executed one, those that the sampler visits."""
    if density == "model":
        return tuple(range(len(policy.levels)))
    return tuple(sorted(step.t for step in own_sampler(policy)))


def find_clip(policy: DenoiserPolicy, density: str) -> float | None:
    """Where actions of the density are clipped, in normalised units; None where they are not."""
    return None if density == "model" else own_sampler(policy).clip


def sampler_bias(
    policy: DenoiserPolicy, execution: Execution, clip: float | None, place: Array, predicted: Array
) -> Array:
    """(S,) the total variation to be expected of what no Gaussian shows: of means that shrink, and of chunks that drift.

    place, predicted: (S, M, 2) y and D of the current action, normalised, at the first level that has a density. D lies between y
    and the mean of its mode. So where D is beyond the clip and y is not beyond D, the mode is; of its other half y is.
    """
    if clip is None or all(step.c0 == step.c_clip for step in own_sampler(policy)):
        return np.full(len(place), execution.bias)
    beyond = (np.abs(predicted) > clip) & (np.sign(predicted) * place < np.abs(predicted))
    drifting = np.minimum(2 * beyond.any(axis=-1).mean(axis=-1), 1.0)
    found: Array = np.hypot(execution.bias, DRIFT * drifting)
    return found


def execute(posterior: Posterior, execution: Execution, node: int, noise: float) -> tuple[Array, Array]:
    """Means' moves (S, M, 2) and kernels' covariances (S, M, 2, 2) of the current action, normalised, at v = `noise`.

    Both are functions of C, the posterior covariance of the whole chunk: the kernel is f(C), the move s(C) (y - D). Only the
    current action's rows are wanted. By Gauss quadrature over C's spectrum (Golub & Meurant 2010, chapters 6 and 7) they need
    the blocks of C, C² and C³: f(C) ≈ C^½ E[r(c)] C^½, where r = f / c, and c has the mean C^-½ (C²) C^-½ and the deviation that
    follows from C³, in two nodes of equal weight.
    """
    root, inverse = _roots(posterior.covariance)
    mean, vectors = np.linalg.eigh(symmetric(inverse @ posterior.square @ inverse))
    second = np.einsum("smia,smij,smja->sma", vectors, inverse @ posterior.cube @ inverse, vectors)
    mean = np.maximum(mean, NARROWEST**2)
    deviation = np.sqrt(np.clip(second - mean**2, 0, (FARTHEST * mean) ** 2))
    scale, pull = np.zeros_like(mean), np.zeros_like(mean)
    known = np.log(data_variances())
    for whole in (np.maximum(each, 1e-8) for each in (mean - deviation, mean + deviation)):
        c = np.minimum(whole, LARGEST * noise**2)
        variance = c * noise**2 / (noise**2 - c)
        scale += np.interp(np.log(variance), known, execution.ratios[node]) / 2
        even = np.minimum(variance, UNIFORM**2)  # D is λ / v² of y - D away from the mean of such data
        pull -= np.interp(np.log(even), known, execution.shrinkage[node]) * even / (noise**2 * whole) / 2
    transposed = vectors.swapaxes(-1, -2)
    moves = (root @ (vectors * pull[..., None, :]) @ transposed @ inverse @ posterior.residual[..., None])[..., 0]
    values, axes = np.linalg.eigh(symmetric(root @ (vectors * scale[..., None, :]) @ transposed @ root))
    return moves, (axes * np.maximum(values, NARROWEST**2)[..., None, :]) @ axes.swapaxes(-1, -2)


def _roots(matrices: Array) -> tuple[Array, Array]:
    # C^½ and C^-½ of matrices (…, 2, 2), whose eigenvalues are made positive.
    values, vectors = np.linalg.eigh(matrices)
    roots = np.sqrt(np.maximum(values, NARROWEST**2))
    transposed = vectors.swapaxes(-1, -2)
    return (vectors * roots[..., None, :]) @ transposed, (vectors / roots[..., None, :]) @ transposed
