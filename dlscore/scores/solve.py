"""From a step's conditioning to its density: start, solve, take the posteriors, join."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from dlscore.common.arrays import Array
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.scores import start
from dlscore.scores.ancestral import AncestralStep, fit_ancestral
from dlscore.scores.denoise import Posterior, find_posterior, predict_data
from dlscore.scores.error import ErrorEstimate, estimate_error
from dlscore.scores.executed import (
    NARROWEST,
    Execution,
    execute,
    find_clip,
    find_execution,
    own_sampler,
    sampler_bias,
    visited_timesteps,
)
from dlscore.scores.levels import find_levels, more_steps
from dlscore.scores.multilevel import Joined, Level, join
from dlscore.scores.solver import data_variances, fit_solver
from dlscore.scores.weigh import Passed, spread_of, weigh_halves
from dlscore.scores.widen import widen


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
class Path:
    """One way from the start down: timesteps `nodes` of noise v (K + 1,), the last `densities` of which have densities; what is
    executed at them; the solver's weights; how many chunks start, and how many go to the last node; and instead of the solver's
    steps noisy ones, if there are any."""

    nodes: tuple[int, ...]
    noise: Array
    densities: int
    execution: Execution
    weights: tuple[Array, ...]
    samples: int
    last: int
    ancestral: tuple[AncestralStep, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What does not depend on the observation: the timestep of the pilot; where actions are clipped [normalised] and the same
    as a box [px]; and the path for steps whose covariance the pilot finds, for those where the network's slope is its own, and
    for those where it does not denoise."""

    pilot: int
    clip: float | None
    box: Array | None
    believed: Path
    distrusted: Path
    ancestral: Path

    def paths(self, pilot: start.Pilot) -> list[Path]:
        """That of each step."""
        return [
            self.believed if believed else self.distrusted if denoises else self.ancestral
            for believed, denoises in zip(pilot.believed, pilot.denoises, strict=True)
        ]


@dataclass(frozen=True)
class _Node:
    """S × M chunks at a node: places y, data predictions, and the current action's posterior covariances, if it has densities."""

    place: Tensor
    mean: Tensor
    covariance: Array


@dataclass(frozen=True)
class Solution:
    """One step's density, its estimated error, and chunks (D, H, 2) [px] denoised at the finest level of all."""

    joined: Joined
    error: ErrorEstimate
    denoised: Array


@lru_cache(maxsize=4)
def find_plan(policy: DenoiserPolicy, recipe: Recipe) -> Plan:
    """The plan for a policy. Raises ScorerError where the policy's schedule does not allow it."""
    preferred = visited_timesteps(policy, recipe.density)
    densities = 3 if recipe.finest else 2
    levels = find_levels(policy, preferred, recipe.steps, recipe.level, densities)
    clip, box = find_clip(policy, recipe.density), find_box(policy, recipe.density)
    counts = recipe.samples, recipe.finest or recipe.samples
    believed = _find_path(policy, recipe, levels.nodes, levels.densities, data_variances(), counts)
    # As many evaluations as on the other path: of each step one, of a density three.
    each = recipe.steps + 6
    fewer = (recipe.samples * each + 3 * recipe.finest) // (each + more_steps(densities))
    count = min(recipe.samples, fewer)
    distrusted = _find_path(policy, recipe, levels.distrusted, 1, np.zeros(len(data_variances())), (count, count))
    ancestral = distrusted  # a sampler that adds no noise follows the flow wherever that goes
    if recipe.density == "executed" and any(step.noise_variance for step in own_sampler(policy)):
        steps = fit_ancestral(distrusted.noise, distrusted.execution.deviations)
        ancestral = replace(distrusted, ancestral=steps)
    return Plan(levels.pilot, clip, box, believed, distrusted, ancestral)


def _find_path(
    policy: DenoiserPolicy,
    recipe: Recipe,
    nodes: tuple[int, ...],
    densities: int,
    known: Array,
    counts: tuple[int, int],
) -> Path:
    # known (W,): the part of the data's variance that the start has; counts: of chunks at the start and at the last node.
    noise = policy.levels[list(nodes)]
    execution = find_execution(policy, recipe.density, nodes)
    aims = [np.sqrt(known + noise[0] ** 2), *execution.deviations[1:]]
    weights = fit_solver(tuple(noise), tuple(map(tuple, aims)), densities)
    return Path(nodes, noise, densities, execution, weights, *counts)


def solve(policy: DenoiserPolicy, conditioning: Tensor, recipe: Recipe, seed: int) -> list[Solution]:
    """The densities of S steps under `conditioning` (S, D)."""
    plan = find_plan(policy, recipe)
    pilot = start.run_pilot(policy, conditioning, plan.pilot, plan.clip, seed)
    solutions: dict[int, Solution] = {}
    paths = plan.paths(pilot)
    for path in {id(each): each for each in paths}.values():
        steps = np.flatnonzero([each is path for each in paths])
        found = _descend(policy, conditioning[steps], recipe, plan, path, pilot.of(steps), seed)
        solutions |= dict(zip(steps.tolist(), found, strict=True))
    return [solutions[step] for step in range(len(conditioning))]


def _descend(
    policy: DenoiserPolicy, conditioning: Tensor, recipe: Recipe, plan: Plan, path: Path, pilot: start.Pilot, seed: int
) -> list[Solution]:
    y = torch.tensor(start.start(policy, pilot, path.samples, path.noise[0], seed)).to(conditioning)
    history: list[Tensor] = []
    levels: list[tuple[Array, Array]] = []  # means (S, m, 2), covariances (S, m, 2, 2) px
    passed: list[_Node] = []
    bias: Array = np.empty(0)  # (S,)
    for k, t in enumerate(path.nodes):
        if k == len(path.nodes) - 1:
            y, history = y[:, : path.last], [each[:, : path.last] for each in history]
        covariance: Array = np.empty(0)
        if k < len(path.nodes) - path.densities:
            mean = predict_data(policy, conditioning, y, t)
        else:
            posterior = find_posterior(policy, conditioning, y, t)
            mean, covariance = posterior.mean, posterior.covariance
            if not levels:
                now = (each[:, :, policy.current].cpu().double().numpy() for each in (y, mean))
                bias = sampler_bias(policy, path.execution, plan.clip, *now)
            # Kernels that are widened have their means where they were before they are clipped; the mixture has the box.
            clip = plan.clip if path is plan.believed else None
            levels.append(_components(policy, posterior, clip, path.execution, k, float(path.noise[k])))
        history.insert(0, _clip(mean, plan.clip))
        passed.append(_Node(y, history[0], covariance))
        if k < len(path.nodes) - 1:
            if path.ancestral:
                y = path.ancestral[k].move(y, history, plan.clip, np.random.default_rng([seed, k]))
                continue
            y = y * (path.noise[k + 1] / path.noise[k])
            for weight, prediction in zip(path.weights[k], history, strict=False):
                y = y + float(weight) * prediction
    denoised = policy.to_px(history[0][:, : recipe.kept].cpu().double().numpy())
    solutions = []
    for s, kept in enumerate(denoised):
        weights = _weigh(policy, path, pilot, passed, s)
        found = [Level(mean[s], covariance[s]) for mean, covariance in levels]
        joined = join(found if path is plan.believed else [widen(each) for each in found], plan.box, weights)
        solutions.append(_finish(joined, kept, recipe.density, float(bias[s])))
    return solutions


def _weigh(policy: DenoiserPolicy, path: Path, pilot: start.Pilot, passed: list[_Node], s: int) -> Array | None:
    """The weights of step s's chunks, by what was predicted above the second level that has a density.

    None, all alike, where the pilot is not believed: what is predicted at coarse levels is then no mean of one density.
    """
    node = len(path.nodes) - path.densities + 1
    if not pilot.believed[s] or path.densities < 2:
        return None
    vectors = pilot.vectors[s]

    def along(chunks: Tensor) -> Array:
        found: Array = chunks[s].flatten(1).cpu().double().numpy() @ vectors
        return found

    above = zip(path.noise[:node], passed[:node], strict=True)
    levels = [Passed(float(noise), along(each.place), along(each.mean)) for noise, each in above]
    now, measured = vectors[2 * policy.current : 2 * policy.current + 2], passed[node].covariance
    deviations = data_variances(), path.execution.deviations[node]
    spread = spread_of(pilot.variances[s], now, float(path.noise[node]), measured[s], deviations)
    return weigh_halves(levels, along(passed[node].mean), spread)


def _components(
    policy: DenoiserPolicy, posterior: Posterior, clip: float | None, execution: Execution, node: int, noise: float
) -> tuple[Array, Array]:
    moves, covariances = execute(posterior, execution, node, noise)
    means = posterior.mean[:, :, policy.current].cpu().double().numpy() + moves
    means = means if clip is None else np.clip(means, -clip, clip)
    return policy.to_px(means), covariances * np.outer(policy.px_per_unit, policy.px_per_unit)


def draw_own(policy: DenoiserPolicy, conditioning: Tensor, recipe: Recipe, seed: int) -> list[Solution]:
    """Draws of the policy's own sampler, each a Gaussian of about 1 px: next to nothing beside a cell."""
    numbers = np.random.SeedSequence((seed, 2)).generate_state(recipe.samples, np.uint64) >> np.uint64(1)
    drawn = policy.sample(conditioning, [[int(number) for number in numbers]] * len(conditioning))
    actions = policy.to_px(drawn.cpu().double().numpy())  # (S, M, H, 2)
    kernel = np.broadcast_to(np.diag((NARROWEST * policy.px_per_unit) ** 2), (recipe.samples, 2, 2))
    box, shown = find_box(policy, recipe.density), recipe.kept
    return [
        _finish(join([Level(step[:, policy.current], kernel)], box), step[:shown], recipe.density) for step in actions
    ]


def find_box(policy: DenoiserPolicy, density: str) -> Array | None:
    """(2, 2) px [[xmin, ymin], [xmax, ymax]] within which the density's actions are clipped, or None."""
    clip = find_clip(policy, density)
    return None if clip is None else policy.to_px(np.array([[-clip, -clip], [clip, clip]]))


def _finish(joined: Joined, denoised: Array, density: str, bias: float = 0.0) -> Solution:
    return Solution(joined, estimate_error(joined, density, bias), denoised)


def _clip(chunks: Tensor, clip: float | None) -> Tensor:
    return chunks if clip is None else chunks.clamp(-clip, clip)
