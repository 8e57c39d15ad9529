"""Whether the statistics of answers are right on the certification's policies, scored as any (make bench-answers).

Each policy's density is known. It is scored by `likelihood`, and asked by dlrender's statistics: ranks of true draws, entropy,
NLL and number of modes. For the executed density the draws are those of the policy's own sampler, whose entropy and modes are
not known.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlrender.answers.modes import find_modes
from dlrender.answers.points import weighted_points
from dlrender.answers.steps import LARGEST_ERROR, LEAST_INSIDE
from dlscore.certify.certify import choose_mixtures, make_case
from dlscore.certify.own_draws import draw_actions
from dlscore.common.progress import steps
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.density.regions import hdr_ranks, mass_inside
from dlscore.grid import Grid
from dlscore.policy.sampler_steps import sampler_steps
from dlscore.scores.likelihood import QUALITIES, Likelihood

ASKED = {
    "draft": {"ks": 0.025, "inside_95": 0.015, "nll_excess": 0.04, "modes_right": 0.90},
    "standard": {"ks": 0.015, "inside_95": 0.008, "nll_excess": 0.015, "modes_right": 0.97},
}
ENTROPY = 0.02  # nats
POINTS = 16_384  # of the true density, for its entropy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quality", default="standard", choices=ASKED)
    parser.add_argument("--density", default="model", choices=("model", "executed"))
    parser.add_argument("--policies", help="only these, separated by commas")
    parser.add_argument("--draws", type=int, default=400, help="of each policy")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, mixtures = [], choose_mixtures(options.policies)
    with steps("measure", "policies") as report:
        for number, mixture in enumerate(mixtures):
            rows += measure(mixture, number, options.quality, options.density, options.draws, range(options.seeds))
            report(number + 1, len(mixtures))
    for what, value, asked in summarize(rows, options.quality):
        print(f"{what:58s} {value:>9.4f}   {asked}", flush=True)
    for row in rows:
        if row["modes"] not in (None, row["true_modes"]):
            print(f"  {row['policy']}, seed {row['seed']}: {row['modes']} modes, truly {row['true_modes']}")
    if options.json:
        options.json.write_text(json.dumps(rows) + "\n")


def measure(mixture, number: int, quality: str, density: str, draws: int, seeds: Sequence[int]) -> list[dict]:
    """A row for each seed of the policy `number`, whose random numbers are its own: errors of policies are independent."""
    grid, rng = Grid(50), np.random.default_rng(number)
    case = make_case(mixture, grid, densities=())
    policy = case.policy
    truth = Mixture(policy.to_px(mixture.centres), mixture.covariances * np.outer(*[policy.px_per_unit] * 2), mixture.weights,
                    mixture.weights)  # fmt: skip
    known = density == "model"
    true_modes = len(find_modes(log_cell_density(truth, grid), grid)) if known else None
    surprise = -truth.log_density(truth.draw(POINTS, rng)).mean()
    sampler = sampler_steps(policy.scheduler, policy.sampler_steps)
    scorer, rows = replace(Likelihood(**QUALITIES[quality]), density=density), []
    for seed in seeds:
        scores = scorer.score(policy, case.conditioning, case.chunks(seed), grid, seed)
        found, error = scores.mixtures[0], float(scores.checks["error"][0])
        actions = (
            truth.draw(draws, rng)
            if known
            else policy.to_px(draw_actions(mixture, sampler, draws, 1000 * number + seed))
        )
        told = error <= LARGEST_ERROR and mass_inside(scores.values[0], grid.cell_area) >= LEAST_INSIDE
        row = {"policy": mixture.name, "seed": seed, "error": error, "true_modes": true_modes,
               "modes": len(find_modes(scores.values[0], grid)) if told and known else None,
               "ranks": hdr_ranks(found, actions, rng).randomised.tolist()}  # fmt: skip
        if known:
            row["entropy_error"] = weighted_points(found, rng).entropy - surprise
            row["nll_excess"] = float((truth.log_density(actions) - found.log_density(actions)).mean())
        rows.append(row)
    return rows


def summarize(rows: list[dict], quality: str) -> Iterator[tuple[str, float, str]]:
    """What was measured, and what is asked of it; ranks are pooled over policies, for each seed by itself."""
    asked = ASKED[quality]
    for seed in sorted({row["seed"] for row in rows}):
        ranks = np.sort(np.concatenate([row["ranks"] for row in rows if row["seed"] == seed]))
        even = np.arange(len(ranks) + 1) / len(ranks)
        distance = max(np.abs(ranks - even[1:]).max(), np.abs(ranks - even[:-1]).max())
        yield f"seed {seed}: Kolmogorov-Smirnov of {len(ranks):,} ranks", distance, f"{asked['ks']} or less"
        yield f"seed {seed}: share in the 95 % regions", np.mean(ranks <= 0.95), f"0.95 ± {asked['inside_95']}"
    if "nll_excess" in rows[0]:
        yield "mean error of the entropy [nats]", np.mean([row["entropy_error"] for row in rows]), f"± {ENTROPY}"
        yield "mean NLL excess [nats]", np.mean([row["nll_excess"] for row in rows]), f"{asked['nll_excess']} or less"
        told = [row for row in rows if row["modes"] is not None]
        right = np.mean([row["modes"] == row["true_modes"] for row in told]) if told else np.nan
        yield "share of policy × seed whose modes can be told", len(told) / len(rows), ""
        yield "number of modes right there", right, f"{asked['modes_right']} or more"


if __name__ == "__main__":
    main()
