"""Whether answers are right, on densities that are known, over many repetitions; and what they cost. Run by `make bench-answers`.

Prints a line for each claim: what was measured, and what is asked of it. tests/bench/README.md has what came out.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests, for support
sys.path.insert(0, str(Path(__file__).parents[2]))  # before them the packages, whose names folders of tests have too
from support.known import gaussian, mixture_of

from dlrender.answers.ahead import LATEST
from dlrender.answers.compare import distances_between
from dlrender.answers.coverage import find_coverage
from dlrender.answers.failures import Course, conformal_band
from dlrender.answers.intervals import bootstrap
from dlrender.answers.modes import find_modes
from dlrender.answers.points import weighted_points
from dlrender.answers.roc import aurocs, midranks
from dlrender.answers.steps import Episode
from dlrender.answers.table import density_of, step_table
from dlscore.cache import open_cache
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.grid import Grid

Line = tuple[str, str, str]  # what, measured, asked


def random_mixture(rng: np.random.Generator, modes: int) -> Mixture:
    """So many modes, at least five deviations apart, each of two Gaussians of nearly the same place and other widths."""
    sigma, places = rng.uniform(8, 25), []
    while len(places) < modes:
        place = rng.uniform(80, 432, 2)
        if all(np.linalg.norm(place - other) > 5.5 * sigma for other in places):
            places.append(place)
    mass = rng.dirichlet(np.full(modes, 5.0)) * (1 - 0.15 * modes) + 0.15
    parts = [(0.5 * m, place + rng.normal(0, 0.1 * sigma, 2), sigma * f)
             for m, place in zip(mass, places, strict=True) for f in (0.8, 1.1)]  # fmt: skip
    return mixture_of(parts)


def ranks(rng: np.random.Generator, count: int) -> Iterator[Line]:
    found = {1.0: [], 1.3: [], 1 / 1.3: []}
    entropy = []
    for k in range(count):
        mixture = random_mixture(rng, 1 + k % 3)
        action = mixture.draw(1, rng)
        for scale, values in found.items():
            scored = Mixture(mixture.mean, mixture.covariance * scale**2, mixture.weight, mixture.base)
            points = weighted_points(scored, rng)
            values.append(points.denser(float(scored.log_density(action)[0])))
            if scale == 1 and k < 200:
                entropy.append(points.entropy + scored.log_density(scored.draw(20_000, rng)).mean())
    steps, ordered = np.arange(count + 1) / count, np.sort(found[1.0])
    distance = max(np.abs(ordered - steps[1:]).max(), np.abs(ordered - steps[:-1]).max())
    yield f"ranks of {count:,} true draws: Kolmogorov-Smirnov", f"{distance:.4f}", "0.015 or less"
    yield "share in the 95 % regions", f"{np.mean(ordered <= 0.95):.4f}", "0.95 ± 0.008"
    yield "mean error of the entropy [nats]", f"{np.mean(entropy):+.4f}", "0.02 or less"
    yield "error of one step's entropy [nats]", f"{np.abs(entropy).mean():.4f}", ""
    yield "mean rank where p is 1.3 times too wide", f"{np.mean(found[1.3]):.3f}", "below 0.42"
    yield "mean rank where p is 1.3 times too narrow", f"{np.mean(found[1 / 1.3]):.3f}", "above 0.58"


def modes(rng: np.random.Generator, count: int) -> Iterator[Line]:
    for cells in (50, 100):
        grid = Grid(cells)
        right = [len(find_modes(log_cell_density(random_mixture(rng, n), grid), grid)) == n
                 for n in (1 + k % 3 for k in range(count))]  # fmt: skip
        yield f"number of modes right, {cells} cells a side", f"{np.mean(right):.3f}", "0.97 or more"


def comparison(rng: np.random.Generator) -> Iterator[Line]:
    found = [distances_between(gaussian([236, 256], 25), gaussian([276, 256], 25), rng)["tv"] for _ in range(100)]
    yield (
        "total variation of two Gaussians, largest error of 100",
        f"{np.abs(np.array(found) - 0.5763).max():.4f}",
        "0.01",
    )


def same_policy(rng: np.random.Generator, count: int) -> Iterator[Line]:
    # Two estimates of each density, both with an error that is known: as one policy scored with two seeds.
    held, within = 0, []
    for seed in range(count):
        totals = np.zeros((10, 2))
        for episode in np.repeat(np.arange(10), 4):
            truth = random_mixture(rng, int(rng.integers(1, 4)))
            one, two = (Mixture(truth.mean + rng.normal(0, 1.5, truth.mean.shape), truth.covariance * rng.uniform(0.9, 1.1),
                                truth.weight, truth.base) for _ in range(2))  # fmt: skip
            error = 2 * np.hypot(*(distances_between(truth, each, rng)["tv"] for each in (one, two)))
            within.append(distances_between(one, two, rng)["tv"] <= error)
            action = truth.draw(1, rng)
            totals[episode] += [float((one.log_density(action) - two.log_density(action))[0]), 1]
        interval = bootstrap(totals, lambda sums: sums[..., 0] / sums[..., 1], seed, 1000)
        held += interval.low <= 0 <= interval.high
    yield "one policy, two seeds: paired intervals that hold 0", f"{held / count:.3f}", "0.90 or more"
    yield "steps within error", f"{np.mean(within):.3f}", "0.95 or more"


def lags(files: list[Path]) -> Iterator[Line]:
    found: dict[int, list[float]] = {k: [] for k in range(-LATEST, LATEST + 1)}
    for file in files:
        with open_cache(file) as cache:
            for step in Episode(cache, density_of(cache)).steps():
                for row, log_density in step.log_densities.items():
                    found[row - step.row].append(-log_density)
    for lag, values in found.items():
        yield f"NLL of the action {lag:+d} steps on", f"{np.mean(values):.2f}", "least of all" if lag == 0 else ""


def intervals(rng: np.random.Generator, count: int) -> Iterator[Line]:
    # Surprise is correlated over 5 steps, entropy over 12: autoregressive, with a level of each episode's own.
    for what, length in (("surprise", 5), ("entropy", 12)):
        rho = (length - 1) / (length + 1)
        for episodes in (5, 10, 20):
            held = 0
            for seed in range(count):
                noise = rng.standard_normal((episodes, 80))
                values = noise.copy()
                for k in range(1, 80):
                    values[:, k] = rho * values[:, k - 1] + math.sqrt(1 - rho**2) * noise[:, k]
                values += 0.5 * rng.standard_normal((episodes, 1))
                totals = np.stack([values.sum(axis=1), np.full(episodes, 80.0)], axis=1)
                interval = bootstrap(totals, lambda sums: sums[..., 0] / sums[..., 1], seed, 1000)
                held += interval.low <= 0 <= interval.high
            asked = "0.90 or more" if episodes == 20 else ""
            yield f"95 % intervals hold the truth, {what}, {episodes} episodes", f"{held / count:.3f}", asked


def failures(rng: np.random.Generator, count: int) -> Iterator[Line]:
    errors = []
    for d in (0.0, 0.5, 1.0, 2.0):
        failed = np.arange(4000) % 2 == 1
        rank = midranks(rng.standard_normal(4000) + d * failed)
        errors.append((rank[failed].sum() - 2000 * 2001 / 2) / 2000**2 - 0.5 * math.erfc(-d / 2))
    yield "AUROC of Gaussians, largest error", f"{np.abs(errors).max():.4f}", "0.02"
    for n, m in ((7, 5), (20, 20)):
        failed, hits = np.arange(n + m) >= n, 0
        for seed in range(count):
            values = 0.6 * rng.standard_normal(n + m) + 0.8 * rng.standard_normal((8, n + m))
            hits += min(each.corrected for each in aurocs(values, failed, seed)) < 0.05
        yield f"no effect, {n} and {m} episodes: corrected p below 0.05", f"{hits / count:.3f}", "0.05 or less"
    time_, alarms = np.arange(0, 8, 0.1), 0
    for _ in range(count):
        made = [np.cumsum(0.05 * rng.standard_normal(80)) for _ in range(21)]
        seen = [Course(k, False, time_, values) for k, values in enumerate(made[1:])]
        band, _ = conformal_band([*seen, Course(99, True, time_, made[0])])
        alarms += band.leads[0] is not None
    yield "unseen successes that leave the band", f"{alarms / count:.3f}", "0.10 or less"


def coverage(rng: np.random.Generator, count: int) -> Iterator[Line]:
    own, other = [], []
    for seed in range(count):
        centres = rng.uniform(100, 412, (60, 2))
        steps = [weighted_points(gaussian(centre, 25), rng) for centre in centres]
        points, weights = [each.point for each in steps], [each.weight for each in steps]
        actions = centres + 25 * rng.standard_normal(centres.shape)
        own.append(find_coverage(points, weights, actions, seed=seed).p_value > 0.05)
        other.append(find_coverage(points, weights, actions + [60, 0], seed=seed).p_value > 0.05)
    yield "records of the policy's own inside the null", f"{np.mean(own):.3f}", "0.93 or more"
    yield "records 60 px beside it inside the null", f"{np.mean(other):.3f}", ""


def costs(cache: Path) -> Iterator[Line]:
    began = time.process_time()
    steps = len(step_table(cache)["step"])
    yield (
        f"all statistics of {cache.name} [ms of CPU a step]",
        f"{1000 * (time.process_time() - began) / steps:.1f}",
        "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="measure the costs of its statistics too")
    parser.add_argument("--human", type=Path, nargs="*", help="caches of human episodes, every step: the test of lags")
    parser.add_argument("--draws", type=int, default=12_400)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--only", default="", help="a part, such as coverage")
    options = parser.parse_args()
    rng, count = np.random.default_rng(0), options.repetitions
    parts = {
        "ranks": ranks(rng, options.draws), "modes": modes(rng, count), "comparison": comparison(rng),
        "seeds": same_policy(rng, min(count, 100)),
        "intervals": intervals(rng, count), "failures": failures(rng, count), "coverage": coverage(rng, count),
    }  # fmt: skip
    if options.cache is not None:
        parts["costs"] = costs(options.cache)
    if options.human:
        parts["lags"] = lags(options.human)
    for name, part in parts.items():
        if options.only not in ("", name):
            continue
        for what, measured, asked in part:
            print(f"{what:66s} {measured:>9s}   {asked}", flush=True)


if __name__ == "__main__":
    main()
