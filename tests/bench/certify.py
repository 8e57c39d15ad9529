"""`dlscore certify` with the published definitions and sample-based densities in the same table. Run by `make certify`."""

import argparse
import json
from pathlib import Path

from published import PublishedLikelihood, PublishedNoisePrediction, SampleDensity

from dlscore.certify.certify import certify, choose_densities, choose_mixtures
from dlscore.certify.fresh import RELEASE, cut_chunks, draw_mixtures
from dlscore.certify.report import SHOWN, format_table, save_figure
from dlscore.certify.schedules import choose_schedules
from dlscore.certify.summary import summarise
from dlscore.common.progress import steps
from dlscore.compute.prepare import read_actions
from dlscore.scores.likelihood import QUALITIES, Likelihood
from dlscore.scores.noise_prediction import NoisePrediction

ENTRIES = {
    **{f"likelihood, {quality}": Likelihood(**settings) for quality, settings in QUALITIES.items()},
    "noise_pred": NoisePrediction(levels=9),
    "published likelihood": PublishedLikelihood(),
    "published noise_pred": PublishedNoisePrediction(),
    "KDE, σ₀": SampleDensity(bandwidth="sigma0"),
    "KDE, Scott": SampleDensity(bandwidth="scott"),
}


def finite(result) -> dict:
    return {key: None if value != value else value for key, value in vars(result).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", default="", help="only those whose name begins with this")
    parser.add_argument("--policies")
    parser.add_argument("--random", type=int, nargs=2, default=RELEASE, metavar=("SEED", "N"))
    parser.add_argument("--dataset", default="data/demo/episodes", help="recorded chunks for fresh policies")
    parser.add_argument("--density", default="both")
    parser.add_argument("--schedule", default="cosine")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    entries = {name: scorer for name, scorer in ENTRIES.items() if name.startswith(options.methods)}
    fixed = choose_mixtures(options.policies)
    fresh = draw_mixtures(*options.random, cut_chunks(read_actions(None, options.dataset, None)))
    refused: list[str] = []
    with steps("certify", "runs") as report:
        results = certify(
            entries, mixtures=(*fixed, *fresh), schedules=choose_schedules(options.schedule),
            densities=choose_densities(options.density), seeds=range(options.seeds), progress=report, refused=refused.append,
        )  # fmt: skip
    rows = summarise(results, entries)
    print(format_table(rows), *(f"refused: {each}" for each in refused), sep="\n")
    if options.json:
        found = {"rows": rows, "refused": refused, "results": list(map(finite, results))}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.figure:
        save_figure(options.figure, entries, [mixture for mixture in fixed if mixture.name in SHOWN])


if __name__ == "__main__":
    main()
