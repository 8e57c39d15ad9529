"""What a batch saves, what two jobs gain, and how the cost grows (make bench-batch).

Ten demo episodes: one `dlscore compute --episodes 0-9` against ten of one episode, interleaved by halves; `make -j2`
against `make -j1`. Then time and size of one episode at 10, 50, 200 steps and at 25, 50, 100 cells a side, with the
exponent of a power law through them, by steps and by cells, and the slopes between them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests, for support
sys.path.insert(0, str(Path(__file__).parents[2]))  # before them the packages, whose names folders of tests have too

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "data" / "demo"
COMMAND = [sys.executable, "-c", "from dlscore.cli.commands import main; main()", "compute"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--max-steps", type=int, default=10)
    parser.add_argument("--only", choices=["batch", "jobs", "growth"], help="one of the three")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    parts = {"batch": batch_and_singles, "jobs": jobs, "growth": growth}
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in parts.items():
            if options.only in (None, name):
                report[name] = measure(Path(folder), options.episodes, options.max_steps)
                print(json.dumps({name: report[name]}, indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def timed(command: list[object], **environment: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [str(each) for each in command], check=True, capture_output=True, env={**os.environ, **environment}, cwd=ROOT
    )
    return time.perf_counter() - began


def batch_and_singles(folder: Path, episodes: int, steps: int) -> dict:
    def run(chosen: str) -> float:
        what = ["--policy-path", DEMO / "policy", "--dataset-root", DEMO / "episodes", "--episodes", chosen]
        how = ["--max-steps", steps, "--quality", "draft", "--chunks", 1, "--force", "--output-dir", folder / "batch"]
        return timed([*COMMAND, *what, *how])

    half = episodes // 2
    seconds = {"ten singles, first half": sum(run(str(k)) for k in range(half)), "batch": run(f"0-{episodes - 1}"),
               "ten singles, second half": sum(run(str(k)) for k in range(half, episodes))}  # fmt: skip
    singles = seconds["ten singles, first half"] + seconds["ten singles, second half"]
    start_up = (singles - seconds["batch"]) / (episodes - 1)
    return {
        **seconds,
        "singles / batch": singles / seconds["batch"],
        "saved by each episode after the first [s]": start_up,
    }


def jobs(folder: Path, episodes: int, steps: int) -> dict:
    def run(parallel: str) -> float:
        shutil.rmtree(folder / "jobs", ignore_errors=True)
        what = [f"EPISODE={' '.join(map(str, range(episodes)))}", f"STEPS={steps}", f"CACHE={folder / 'jobs'}"]
        return timed(["make", parallel, "cache", *what, "SCORE_FLAGS=--quality draft --chunks 1", "PIPELINE="])

    one, two = run("-j1"), run("-j2")
    return {"make -j1": one, "make -j2": two, "-j1 / -j2": one / two}


def growth(folder: Path, episodes: int, steps: int) -> dict:
    from support import stub
    from support.runs import make_settings

    from dlscore.compute.episode import compute_episode
    from dlscore.compute.run import Run
    from dlscore.episodes.dataset import open_dataset
    from dlscore.policy.load import load_policy

    policy = load_policy(str(stub.save_policy(folder / "policy", num_inference_steps=5)), device="cpu")
    source = open_dataset(root=stub.save_dataset(folder / "long", episodes=1, steps=200))
    methods = {"likelihood": {"samples": 64, "finest": 0, "density": "model"}, "noise_pred": {"levels": 1}}

    def run(length: int, cells: int) -> tuple[float, float]:
        path = folder / "growth" / f"{length}_{cells}" / "episode_000.h5"
        shutil.rmtree(path.parent, ignore_errors=True)
        began = time.perf_counter()
        compute_episode(
            Run(policy, source, make_settings(methods, resolution=cells, max_steps=length, chunks=2)), 0, path
        )
        return time.perf_counter() - began, path.stat().st_size / 1e6

    sides = (25, 50, 100)
    run(10, 25)  # what is made once: threads, tables, packed weights
    return {
        "steps, at 25 cells": table([10, 50, 200], [run(length, 25) for length in (10, 50, 200)]),
        "cells, at 10 steps": table([side**2 for side in sides], [run(10, side) for side in sides]),
    }


def table(sizes: list[int], found: list[tuple[float, float]]) -> dict:
    report: dict = {"rows": {size: {"seconds": round(seconds, 2), "MB": round(size_mb, 3)}
                             for size, (seconds, size_mb) in zip(sizes, found, strict=True)}}  # fmt: skip
    for k, what in enumerate(("time", "size")):
        values = np.array([each[k] for each in found])
        report[f"exponent of {what}"] = float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
        # What is there from the start lowers the exponent; a line has the same slope between each two sizes.
        report[f"slopes of {what}"] = (np.diff(values) / np.diff(sizes)).tolist()
    return report


if __name__ == "__main__":
    main()
