"""`dlscore certify` with the published definitions and sample-based densities in the same table. Run by `make certify`."""

import argparse
import json
from pathlib import Path

from published import PublishedLikelihood, PublishedNoisePrediction, SampleDensity

from dlscore.certify.certify import certify, choose_mixtures, summarise
from dlscore.certify.report import SHOWN, format_table, save_figure
from dlscore.common.progress import steps
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
    parser.add_argument("--policies")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    mixtures = choose_mixtures(options.policies)
    with steps("certify") as report:
        results = certify(ENTRIES, mixtures=mixtures, seeds=range(options.seeds), progress=report)
    rows = summarise(results, ENTRIES)
    print(format_table(rows))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "results": list(map(finite, results))}, indent=1) + "\n")
    if options.figure:
        save_figure(options.figure, ENTRIES, [m for m in mixtures if m.name in SHOWN])


if __name__ == "__main__":
    main()
