"""What `likelihood` is made of, one choice changed at a time: mean and largest total variation over the analytic policies.

The noise that the chunks start from, the pilot, the solver's coefficients and steps, the noise levels and their number, and
how a posterior's spectrum is integrated; for both densities. Run by `make bench-budget`; tests/bench/README.md has what came
out.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import torch
from lerobot.policies.diffusion.modeling_diffusion import DiffusionConditionalUnet1d
from speed import interleave, make_policy
from torch.func import jvp

from dlscore.certify.certify import certify, choose_mixtures
from dlscore.certify.summary import summarise
from dlscore.scores import executed, solve, solver, start
from dlscore.scores.likelihood import Likelihood

PILOT = start.run_pilot
JOIN = solve.join
FIT = solver.fit_solver.__wrapped__  # without its memory, which a variant must not read


def independent(count, size, seed):
    return np.random.default_rng(seed).standard_normal((count, size))


def no_covariance(*given):
    """A pilot that finds the mean alone: chunks start in N(μ, v² I)."""
    pilot = PILOT(*given)
    return replace(pilot, variances=np.zeros_like(pilot.variances))


def coarse_alone(levels, box, chunks):
    return JOIN(levels[:1], box, chunks)


# Name, scorer, and (module, name, value) of what is changed.
VARIANTS: list[tuple[str, Likelihood, list[tuple[Any, str, Any]]]] = [
    ("as it is", Likelihood(), []),
    ("independent noise", Likelihood(), [(start, "normal_points", independent)]),
    ("no covariance from the pilot", Likelihood(), [(start, "run_pilot", no_covariance)]),
    ("coefficients of DPM-Solver++", Likelihood(), [(solver, "RIDGE", 1e6)]),
    *[(f"{steps} solver steps", Likelihood(steps=steps), []) for steps in (2, 4)],
    *[(f"noise level {level:g}", Likelihood(level=level), []) for level in (0.25, 0.5)],
    ("two noise levels", Likelihood(finest=0), []),
    ("one noise level", Likelihood(finest=0), [(solve, "join", coarse_alone)]),
    ("one node of the spectrum", Likelihood(), [(executed, "FARTHEST", 0.0)]),
]


@contextmanager
def changed(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """With `changes` in place, and without the plans that were made before or with them."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(solve, "fit_solver", FIT))
        for module, name, value in changes:
            stack.enter_context(mock.patch.object(module, name, value))
        solve.find_plan.cache_clear()
        yield
    solve.find_plan.cache_clear()


def time_jacobian() -> None:
    """Seconds of the two directions at the demo's size: by differences (two evaluations) and by jvp of LeRobot's module."""
    policy = make_policy("demo", "cpu")
    plain = DiffusionConditionalUnet1d(policy.config, 36).eval()
    x, given, t = torch.randn(1, 256, 16, 2), torch.randn(1, 36), torch.tensor([8])
    functions = {
        "differences": lambda: [policy.epsilon(x, 8, given) for _ in range(2)],
        "differences, LeRobot's module": lambda: [plain(x[0], t, given) for _ in range(2)],
        "jvp, LeRobot's module": lambda: [
            jvp(lambda v: plain(v, t, given), (x[0],), (torch.ones_like(x[0]),)) for _ in range(2)
        ],
    }
    with torch.no_grad():
        seconds = interleave(functions, 7, lambda: None)
    print("seconds for 256 chunks:", {name: round(each, 3) for name, each in seconds.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--choice", default="", help="only those whose name has this in it")
    parser.add_argument("--policies", help="only these, separated by commas")
    options = parser.parse_args()
    chosen = choose_mixtures(options.policies)
    print(
        "| choice | evaluations | executed: TV | TV max | model: TV | TV max | modes |\n|---|---|---|---|---|---|---|"
    )
    for name, scorer, changes in VARIANTS:
        if options.choice not in name:
            continue
        with changed(changes):
            found = certify({name: scorer}, mixtures=chosen, seeds=range(options.seeds))
        rows = {row["density"]: row for row in summarise(found, {name: scorer})}
        # The fine level, of which one level alone makes no use, costs three evaluations a chunk.
        made = rows["model"]["evaluations"] - (3 * scorer.samples if changes and changes[0][1] == "join" else 0)
        numbers = " | ".join(
            f"{rows[each]['tv_mean']:.3f} | {rows[each]['tv_max']:.3f}" for each in ("executed", "model")
        )
        print(f"| {name} | {made:,} | {numbers} | {rows['model']['modes_found']:.0%} |", flush=True)
    if not options.choice:
        time_jacobian()


if __name__ == "__main__":
    main()
