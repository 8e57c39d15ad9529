"""`likelihood` on a real network, against the policy's own sampler: ten varied steps of the demo, nothing smoothed.

The truth of a step is a histogram of --draws chunks of the policy's own sampler with all its steps, 1.6 million evaluations.
Total variations are those above the histogram's noise (`dlscore.certify`). Every draw also has a rank among the estimated
highest-density regions; an exact density has ranks of mean 0.50, and 50/80/95 % of them in the 50/80/95 % regions.
Draws are kept in --cache in blocks, so that an interrupted run goes on. Run by `make bench-accuracy`.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
from published import PublishedLikelihood, PublishedNoisePrediction, SampleDensity

from dlscore.certify.executed import Truth, count_draws
from dlscore.certify.metrics import above_noise, log_masses, total_variation
from dlscore.compute.episode import windows
from dlscore.density.calibration import LEVELS
from dlscore.density.regions import hdr_ranks
from dlscore.episodes.dataset import open_dataset
from dlscore.grid import Grid
from dlscore.policy.base import Policy
from dlscore.policy.load import load_policy
from dlscore.scores.likelihood import QUALITIES, Likelihood

# Ten steps from the start to the end of ten episodes, as fractions of their lengths.
STEPS = tuple((episode, 0.03 + 0.1 * episode) for episode in range(10))
BLOCK = 512  # draws of a file
RANKED = 16_384  # draws of a mixture, among which the policy's own are ranked: its noise is below theirs
GOAL = 0.06  # total variation above noise
OURS = {name: Likelihood(**settings) for name, settings in QUALITIES.items()}
OURS["standard, model"] = Likelihood(**QUALITIES["standard"], density="model")
OTHERS = {
    "published likelihood": PublishedLikelihood(),
    "published noise_pred": PublishedNoisePrediction(),
    "KDE, σ₀": SampleDensity(bandwidth="sigma0"),
    "KDE, Scott": SampleDensity(bandwidth="scott"),
}


def own_actions(
    policy: Policy, conditioning: torch.Tensor, count: int, place: tuple[int, int], kept: Path
) -> np.ndarray:
    """(count, 2) px: current actions that the policy's own sampler draws; `kept` is where blocks are, without their number."""
    blocks, began = [], time.monotonic()
    for block in range(-(-count // BLOCK)):
        path = kept.with_name(f"{kept.name}_{block}.npy")
        if not path.exists():
            numbers = np.random.SeedSequence((*place, block)).generate_state(BLOCK, np.uint64) >> np.uint64(1)
            with torch.inference_mode():
                chunks = policy.sample(conditioning, [[int(each) for each in numbers]])
            part = path.with_suffix(".part.npy")
            np.save(part, chunks[0, :, policy.current].cpu().double().numpy())
            part.replace(path)
            print(f"  {path.name}: {time.monotonic() - began:.0f} s", flush=True)
        blocks.append(np.load(path))
    return policy.to_px(np.concatenate(blocks)[:count])


def compare(scorer, policy, conditioning, grid: Grid, truth: Truth, actions: np.ndarray, seeds: range) -> dict:
    """Means over seeds: total variation above noise and, for mixtures, the told error, mean rank and coverages."""
    found: dict[str, list] = {}
    for seed in seeds:
        scores = scorer.score(policy, conditioning, np.empty(0), grid, seed)
        masses = np.exp(log_masses(scorer, scores.values[0], grid))
        raw = total_variation(masses, np.exp(truth.log_masses))
        row = {"tv": above_noise(raw, truth.noise), "raw": raw}
        if scores.mixtures:
            ranks = hdr_ranks(scores.mixtures[0], actions, np.random.default_rng(seed), RANKED).randomised
            row |= {"error": scores.checks["error"][0], "mean_rank": ranks.mean()}
            row |= {f"cover_{level:.0%}": np.mean(ranks <= level) for level in LEVELS}
        for name, value in row.items():
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def format_means(rows: list[dict]) -> str:
    """A table: one line a method, means over the steps."""
    lines = [
        f"| method | TV | TV max | at most {GOAL:g} | told error | inside 50/80/95 % regions | mean rank |",
        "|---" * 7 + "|",
    ]
    for name in rows[0]["methods"]:
        found = [row["methods"][name] for row in rows]
        mean = {key: float(np.mean([each[key] for each in found])) for key in found[0]}
        tvs = np.array([each["tv"] for each in found])
        ours = [f"{mean['error']:.3f}", " ".join(f"{mean[f'cover_{level:.0%}']:.3f}" for level in LEVELS),
                f"{mean['mean_rank']:.3f}"] if "error" in mean else ["", "", ""]  # fmt: skip
        cells = [name, f"{mean['tv']:.3f}", f"{tvs.max():.3f}", f"{(tvs <= GOAL).sum()} of {len(tvs)}", *ours]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="data/demo/policy")
    parser.add_argument("--dataset", default="data/demo/episodes")
    parser.add_argument("--draws", type=int, default=16_384, help="own draws a step")
    parser.add_argument("--steps", type=int, default=len(STEPS), help="how many of the steps")
    parser.add_argument("--seeds", type=int, default=3, help="of likelihood; the others have one")
    parser.add_argument("--published", action="store_true", help="also the published definitions and kernel densities")
    parser.add_argument("--methods", default="", help="only those whose name begins with this")
    parser.add_argument("--resolution", type=int, default=50)
    parser.add_argument("--cache", type=Path, default=Path("data/work/accuracy"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)

    policy, source = load_policy(options.policy), open_dataset(root=options.dataset)
    policy.set_task(next(iter(source.tasks), ""))  # where its family takes a text
    grid = Grid(options.resolution)
    entries = OURS | (OTHERS if options.published else {})
    entries = {name: scorer for name, scorer in entries.items() if name.startswith(options.methods)}
    rows: list[dict] = []
    for index, fraction in STEPS[: options.steps]:
        episode = source.load(index, policy.inputs)
        step = round(fraction * (len(episode) - 1))
        seen = windows(policy, episode, slice(step, step + 1))
        conditioning = policy.encode(seen)
        # The name says what the draws depend on: the policy, and what it sees.
        given = hashlib.sha256(
            b"".join(np.ascontiguousarray(seen[name]).tobytes() for name in sorted(seen))
        ).hexdigest()
        kept = options.cache / f"{policy.fingerprint[:12]}_{given[:12]}_{index}_{step}"
        actions = own_actions(policy, conditioning, options.draws, (index, step), kept)
        truth = count_draws(actions, grid)
        row = {"episode": index, "step": step, "noise": truth.noise, "methods": {}}
        for name, scorer in entries.items():
            seeds = range(options.seeds if name in OURS else 1)
            row["methods"][name] = compare(scorer, policy, conditioning, grid, truth, actions, seeds)
        rows.append(row)
        told = "  ".join(f"{name} {found['tv']:.3f}" for name, found in row["methods"].items())
        print(f"episode {index} step {step}: noise {truth.noise:.3f}; TV above it: {told}", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"draws": options.draws, "steps": rows}, indent=1) + "\n")
    print(format_means(rows), f"mean noise of the histograms {np.mean([row['noise'] for row in rows]):.3f}", sep="\n\n")


if __name__ == "__main__":
    main()
