"""From a step's conditioning to its density: start, solve, take the posteriors, join."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.policy.diffusion import Policy
from dlscore.scores import start
from dlscore.scores.denoise import find_posterior, predict_data
from dlscore.scores.error import ErrorEstimate, estimate_error
from dlscore.scores.executed import NARROWEST, Execution, execute, find_clip, find_execution, visited_timesteps
from dlscore.scores.levels import Levels, find_levels, noise_levels
from dlscore.scores.multilevel import Joined, Level, join
from dlscore.scores.solver import data_variances, fit_solver


@dataclass(frozen=True)
class Recipe:
    """The settings of `likelihood.Likelihood` that decide a density; `kept`: how many denoised chunks are returned."""

    density: str
    samples: int
    steps: int
    level: float
    finest: int
    kept: int


@dataclass(frozen=True)
class Plan:
    """What does not depend on the observation: the levels, their noise v (K + 1,), what is executed, where actions are clipped
    [normalised] and the same as a box [px], and the solver's weights for a start without and with the data's covariance."""

    levels: Levels
    noise: Array
    execution: Execution
    clip: float | None
    box: Array | None
    weights: tuple[tuple[Array, ...], tuple[Array, ...]]


@dataclass(frozen=True)
class Solution:
    """One step's density, its estimated error, and chunks (D, H, 2) [px] denoised at the finest level of all."""

    joined: Joined
    error: ErrorEstimate
    denoised: Array


@lru_cache(maxsize=4)
def find_plan(policy: Policy, recipe: Recipe) -> Plan:
    """The plan for a policy. Raises ScorerError where the policy's schedule does not allow it."""
    preferred = visited_timesteps(policy, recipe.density)
    levels = find_levels(policy, preferred, recipe.steps, recipe.level, 3 if recipe.finest else 2)
    noise = noise_levels(policy)[list(levels.nodes)]
    execution = find_execution(policy, recipe.density, levels.nodes)
    starts = np.full(len(data_variances()), noise[0]), np.sqrt(data_variances() + noise[0] ** 2)
    plain, spread = (
        fit_solver(tuple(noise), tuple(map(tuple, [first, *execution.deviations[1:]])), levels.densities)
        for first in starts
    )
    clip, box = find_clip(policy, recipe.density), find_box(policy, recipe.density)
    return Plan(levels, noise, execution, clip, box, (plain, spread))


def solve(policy: Policy, conditioning: Tensor, recipe: Recipe, seed: int) -> list[Solution]:
    """The densities of S steps under `conditioning` (S, D)."""
    plan = find_plan(policy, recipe)
    nodes, noise, clip = plan.levels.nodes, plan.noise, plan.clip
    pilot = start.run_pilot(policy, conditioning, plan.levels.pilot, clip, seed)
    y = torch.tensor(start.start(policy, pilot, recipe.samples, noise[0], seed)).to(conditioning)
    history: list[Tensor] = []
    found: list[tuple[Array, Array]] = []  # means (S, m, 2), covariances (S, m, 2, 2) px
    for k, t in enumerate(nodes):
        if k < len(nodes) - plan.levels.densities:
            denoised = _clip(predict_data(policy, conditioning, y, t), clip)
        else:
            if k == len(nodes) - 1 and recipe.finest:
                y, history = y[:, : recipe.finest], [each[:, : recipe.finest] for each in history]
            posterior = find_posterior(policy, conditioning, y, t)
            denoised = _clip(posterior.mean, clip)
            moves, covariances = execute(posterior, plan.execution, k, noise[k])
            means = posterior.mean[:, :, policy.current].cpu().double().numpy() + moves
            means = means if clip is None else np.clip(means, -clip, clip)
            found.append((policy.to_px(means), covariances * np.outer(policy.px_per_unit, policy.px_per_unit)))
        history.insert(0, denoised)
        if k < len(nodes) - 1:
            y = y * (noise[k + 1] / noise[k])
            weights = np.where(pilot.believed[:, None], plan.weights[1][k], plan.weights[0][k])  # (S, order)
            for weight, prediction in zip(torch.tensor(weights.T).to(y), history, strict=False):
                y = y + weight[:, None, None, None] * prediction
    last = policy.to_px(history[0][:, : recipe.kept].cpu().double().numpy())
    return [
        _finish(join([Level(mean[s], covariance[s]) for mean, covariance in found], plan.box), last[s])
        for s in range(len(conditioning))
    ]


def draw_own(policy: Policy, conditioning: Tensor, recipe: Recipe, seed: int) -> list[Solution]:
    """Draws of the policy's own sampler, each a Gaussian of about 1 px: next to nothing beside a cell."""
    numbers = np.random.SeedSequence((seed, 2)).generate_state(recipe.samples, np.uint64) >> np.uint64(1)
    drawn = policy.sample(conditioning, [[int(number) for number in numbers]] * len(conditioning))
    actions = policy.to_px(drawn.cpu().double().numpy())  # (S, M, H, 2)
    kernel = np.broadcast_to(np.diag((NARROWEST * policy.px_per_unit) ** 2), (recipe.samples, 2, 2))
    box, shown = find_box(policy, recipe.density), recipe.kept
    return [_finish(join([Level(step[:, policy.current], kernel)], box), step[:shown]) for step in actions]


def find_box(policy: Policy, density: str) -> Array | None:
    """(2, 2) px [[xmin, ymin], [xmax, ymax]] within which the density's actions are clipped, or None."""
    clip = find_clip(policy, density)
    return None if clip is None else policy.to_px(np.array([[-clip, -clip], [clip, clip]]))


def _finish(joined: Joined, denoised: Array) -> Solution:
    return Solution(joined, estimate_error(joined), denoised)


def _clip(chunks: Tensor, clip: float | None) -> Tensor:
    return chunks if clip is None else chunks.clamp(-clip, clip)
