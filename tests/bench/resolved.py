"""Whether a log density is right where colours are whole, on known densities (make bench-resolved).

Colours are whole from the peak down to where a cache's own error reaches TOLERANCE in half the steps
(`dlrender.colors.resolved_nats`). Each known density is a step here. A cell counts by its true probability; its log density
is right if it is within TOLERANCE of the truth.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlrender.colors import LEAST, TOLERANCE
from dlscore.certify.certify import choose_mixtures, make_case
from dlscore.certify.fresh import RELEASE, cut_chunks, draw_mixtures
from dlscore.common.progress import steps
from dlscore.compute.prepare import read_actions
from dlscore.grid import Grid
from dlscore.scores.likelihood import QUALITIES, Likelihood


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quality", default="standard", choices=QUALITIES)
    parser.add_argument("--policies", help="only these of the fixed set, separated by commas")
    parser.add_argument("--random", type=int, nargs=2, default=RELEASE, metavar=("SEED", "N"))
    parser.add_argument("--dataset", default="data/demo/episodes", help="recorded chunks for fresh policies")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    fresh = draw_mixtures(*options.random, cut_chunks(read_actions(None, options.dataset, None)))
    found = measure((*choose_mixtures(options.policies), *fresh), options.quality, range(options.seeds))
    print(*(f"{name}: {value:.3f}" for name, value in found.items()), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def measure(mixtures, quality: str, seeds) -> dict[str, float]:
    """The depth of whole colours [nats], and shares of probability, over all densities and seeds."""
    grid, scorer = Grid(50), replace(Likelihood(**QUALITIES[quality]), density="model")
    estimates, truths, errors = [], [], []
    with steps("measure", "densities") as report:
        for number, mixture in enumerate(mixtures):
            case = make_case(mixture, grid, densities=("model",))  # whose truth is exact
            distances = np.asarray(scorer.layout(case.policy).distances)
            for seed in seeds:
                scores = scorer.score(case.policy, case.conditioning, case.chunks(seed), grid, seed)
                estimates.append(scores.values[0])
                truths.append(case.truths["model"].log_masses - np.log(grid.cell_area))
                errors.append(scores.checks["log_error"][0])
            report(number + 1, len(mixtures))
    within = np.median(errors, axis=0) <= TOLERANCE
    last = len(distances) if within.all() else int(np.argmin(within))
    depth = max(LEAST, float(distances[last - 1]) if last else 0.0)
    found = {f"depth of whole colours [nats], {quality}": depth}
    for name, low, high in (
        ("whole", 0.0, depth),
        ("1.5 nats farther", depth, depth + 1.5),
        ("beyond", depth + 1.5, np.inf),
    ):
        right = held = 0.0
        for estimate, truth in zip(estimates, truths, strict=True):
            below = estimate.max() - estimate
            mass = np.exp(truth) * grid.cell_area * ((below >= low) & (below < high))
            right += float(mass[np.abs(estimate - truth) <= TOLERANCE].sum())
            held += float(mass.sum())
        found |= {
            f"probability there, {name}": held / len(truths),
            f"right within {TOLERANCE} nats, {name}": right / held,
        }
    return found


if __name__ == "__main__":
    main()
