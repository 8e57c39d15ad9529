"""The noise levels that `likelihood` visits, in σ/α, and the timesteps of a policy's schedule that come nearest to them.

A noise level is v = σ_t / α_t: y = x_t / α_t is the clean chunk plus noise of deviation v, whatever the schedule. So levels
mean the same under any schedule, number of timesteps or family, and timesteps do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlscore.common.arrays import Array
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.scores.base import ScorerError

RATIO = 0.5  # of the two levels of a solver step, from which the start follows
PILOT = 5.3  # where the pilot measures the mean and covariance of the data
FINER = (1.0, 0.48, 0.25, 0.12)  # the coarse level, and finer ones relative to it
LOWEST = 2.0  # where chunks may start: noise hides nearly all of actions within [-1, 1]
HIGHEST = 4.0  # where they start at most, where slopes are distrusted
LOUDEST = 3.0  # a schedule that ends below this still shows the data at its start
NEAR = 0.25  # in log v: a preferred timestep so near to a level is taken for it
TOO_COARSE = 1.5  # a schedule whose nearest level is so many times the finest one


@dataclass(frozen=True)
class Levels:
    """The timesteps of one policy: of the pilot; of the solver, from the start down; and how many of the last have densities.

    `distrusted`: those of the solver where the network's slopes are no covariances. There only the last has a density.
    """

    pilot: int
    nodes: tuple[int, ...]
    densities: int
    distrusted: tuple[int, ...]


def find_levels(
    policy: DenoiserPolicy, preferred: tuple[int, ...], steps: int, coarse: float, densities: int
) -> Levels:
    """`steps` solver steps, even in log v, from the start to the level `coarse`, then on to the finer levels.

    preferred: timesteps that are taken where one is near enough. Raises ScorerError where the schedule ends too early, or is
    too coarse for the levels.
    """
    noise = policy.levels
    if noise[-1] < LOUDEST:
        raise ScorerError(
            f"the policy's noise schedule ends at σ/α = {noise[-1]:.2f}, where the data still show through the "
            f"noise that its sampler starts from; likelihood needs a schedule to {LOUDEST:g} or more, as squaredcos_cap_v2 is"
        )
    start = np.geomspace(min(max(coarse / RATIO**steps, LOWEST), noise[-1]), coarse, steps + 1)
    wanted = [*start, *(coarse * part for part in FINER[1:densities])]
    nodes = _nearest(noise, preferred, wanted)
    if nodes[-1] < 0 or noise[nodes[-1]] > TOO_COARSE * wanted[-1]:
        raise ScorerError(
            f"the policy's noise schedule of {len(noise)} timesteps is too coarse: its least noise is σ/α = {noise[0]:.2g}, and "
            f"likelihood needs levels down to {wanted[-1]:.2g}; choose a --noise-level above {coarse:g} or fewer --solver-steps"
        )
    # At the last preferred timestep the sampler adds no noise any more.
    least = noise[sorted(preferred)[:2][-1]]
    steps += more_steps(densities)
    first = min(np.clip(coarse / RATIO**steps, LOWEST, HIGHEST), noise[-1])
    finer = _nearest(noise, preferred, list(np.geomspace(first, max(coarse * FINER[-1], least), steps + len(FINER))))
    distrusted = tuple(t for t in finer if t >= 0 and noise[t] >= least)
    pilot = max(int(np.argmin(np.abs(np.log(noise / PILOT)))), nodes[0])
    return Levels(pilot, nodes, densities, distrusted)


def more_steps(densities: int) -> int:
    """Solver steps more where slopes are distrusted: the evaluations that a third density would take pay for one."""
    return int(densities > 2)


def _nearest(noise: Array, preferred: tuple[int, ...], wanted: Sequence[float]) -> tuple[int, ...]:
    # Falling timesteps near the wanted levels; below 0 where there are not enough.
    nodes: list[int] = []
    for level in wanted:
        t = min((t for t in preferred), key=lambda t: abs(np.log(noise[t] / level)))
        if abs(np.log(noise[t] / level)) > NEAR:
            t = int(np.argmin(np.abs(np.log(noise / level))))
        nodes.append(t if not nodes else min(t, nodes[-1] - 1))  # rounded timesteps may coincide
    return tuple(nodes)
