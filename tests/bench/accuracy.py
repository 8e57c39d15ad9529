"""`likelihood` on a real network, against the policy's own sampler: total variation at ten varied steps.

The reference is 16,384 chunks of the policy's own sampler with all its steps, smoothed with the same kernel as at the
standard quality (the posterior Gaussians at its two noise levels), `Likelihood(samples=16384, sampler="policy")`: 1.5 million
evaluations a step; each is kept in --cache, so that an interrupted run goes on. Run by `make bench-accuracy`.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlscore.certify.metrics import total_variation
from dlscore.compute.episode import windows
from dlscore.episodes.dataset import open_dataset
from dlscore.grid import Grid
from dlscore.policy.load import load_policy
from dlscore.scores.likelihood import QUALITIES, Likelihood

# Ten steps from the start to the end of ten episodes, as fractions of their lengths.
STEPS = tuple((episode, 0.03 + 0.1 * episode) for episode in range(10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="data/demo/policy")
    parser.add_argument("--dataset", default="data/demo/episodes")
    parser.add_argument("--samples", type=int, default=16384)
    parser.add_argument("--resolution", type=int, default=50)
    parser.add_argument("--cache", type=Path, default=Path("data/work/accuracy"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)

    policy, source = load_policy(options.policy), open_dataset(root=options.dataset)
    grid = Grid(options.resolution)
    rows = []
    for index, fraction in STEPS:
        episode = source.load(index, policy.inputs)
        step = round(fraction * (len(episode) - 1))
        conditioning = policy.encode(windows(policy, episode, slice(step, step + 1)))

        def density(scorer: Likelihood, seed: int, conditioning=conditioning) -> tuple[np.ndarray, dict]:
            scores = scorer.score(policy, conditioning, np.empty(0), grid, seed)
            return np.exp(scores.values[0]) * grid.cell_area, {name: v[0] for name, v in scores.checks.items()}

        wanted = replace(Likelihood(), samples=options.samples, sampler="policy")
        # The name says what the reference depends on.
        numbers = (index, step, wanted.samples, *wanted.levels(policy), grid.resolution)
        name = f"{policy.fingerprint[:12]}_" + "_".join(map(str, numbers))
        kept = options.cache / f"{name}.npy"
        if not kept.exists():
            began = time.monotonic()
            draft = kept.with_suffix(".draft.npy")
            np.save(draft, density(wanted, 12345)[0])
            draft.replace(kept)
            print(f"reference of episode {index} step {step}: {time.monotonic() - began:.0f} s", flush=True)
        reference = np.load(kept)
        row = {"episode": index, "step": step}
        for quality, settings in QUALITIES.items():
            found = [density(Likelihood(**settings), seed) for seed in range(3)]
            row[quality] = float(np.mean([total_variation(masses, reference) for masses, _ in found]))
            row |= {f"{quality} {check}": float(np.mean([each[check] for _, each in found])) for check in found[0][1]}
        rows.append(row)
        print(
            "  ".join(
                f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )
    for quality in QUALITIES:
        values = np.array([row[quality] for row in rows])
        print(f"{quality}: total variation mean {values.mean():.3f}, largest {values.max():.3f}, "
              f"{(values <= 0.10).sum()} of {len(values)} steps at or below 0.10")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"reference_samples": options.samples, "steps": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
