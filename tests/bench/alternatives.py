"""What was measured for speed and not taken: bfloat16 and torch.compile. Run by `make bench-alternatives`; CPU.

Throughput of LeRobot's module plain, under bfloat16 autocast and compiled, beside ours; and what bfloat16 does to the
density of the demo policy, in the solver alone and in the posterior too, beside another scramble of the Sobol points.
"""

import time
from unittest import mock

import numpy as np
import torch
from lerobot.policies.diffusion.modeling_diffusion import DiffusionConditionalUnet1d
from speed import interleave, make_policy

from dlscore.certify.metrics import total_variation
from dlscore.compute.episode import windows
from dlscore.episodes.dataset import open_dataset
from dlscore.grid import Grid
from dlscore.policy.load import load_policy
from dlscore.scores import solve
from dlscore.scores.likelihood import Likelihood

STEPS = ((0, 5), (0, 60), (3, 20), (5, 60), (7, 40))


def bfloat16():
    return torch.autocast("cpu", torch.bfloat16)


@torch.no_grad()
def throughput(size: str, batch: int) -> None:
    policy = make_policy(size, "cpu")
    theirs = DiffusionConditionalUnet1d(policy.config, 36).eval()
    compiled = torch.compile(theirs)
    x, given, t = torch.randn(batch, 16, 2), torch.randn(1, 36), torch.tensor([8])

    def autocast():
        with bfloat16():
            theirs(x, t, given)

    began = time.perf_counter()
    compiled(x, t, given)
    print(f"{size}: torch.compile takes {time.perf_counter() - began:.0f} s to start")
    functions = {
        "ours": lambda: policy.epsilon(x[None], 8, given),
        "LeRobot's": lambda: theirs(x, t, given),
        "compiled": lambda: compiled(x, t, given),
        "bfloat16 autocast": autocast,
    }
    seconds = interleave(functions, 5 if size == "demo" else 2, lambda: None)
    print(f"{size}, evaluations/s:", {name: round(batch / each) for name, each in seconds.items()})


def accuracy() -> None:
    policy = load_policy("data/demo/policy", device="cpu")
    policy.accelerated = True  # leave LeRobot's own layers: the packed product knows float32 only
    source, grid = open_dataset(root="data/demo/episodes"), Grid(50)
    plain_epsilon, plain_posterior = policy.epsilon, solve.find_posterior

    def coarse_epsilon(x, t, conditioning):
        with bfloat16():
            return plain_epsilon(x, t, conditioning).float()

    def exact_posterior(policy, conditioning, y, t):
        with mock.patch.object(policy, "epsilon", plain_epsilon):
            return plain_posterior(policy, conditioning, y, t)

    found: dict[str, list[float]] = {"another scramble": [], "bfloat16 solver": [], "bfloat16 throughout": []}
    for episode, step in STEPS:
        conditioning = policy.encode(windows(policy, source.load(episode, policy.inputs), slice(step, step + 1)))

        def density(seed: int = 0, conditioning=conditioning) -> np.ndarray:
            return np.exp(Likelihood().score(policy, conditioning, np.empty(0), grid, seed).values[0]) * grid.cell_area

        exact = density()
        found["another scramble"].append(total_variation(exact, density(1)))
        with mock.patch.object(policy, "epsilon", coarse_epsilon):
            found["bfloat16 throughout"].append(total_variation(exact, density()))
            with mock.patch.object(solve, "find_posterior", exact_posterior):
                found["bfloat16 solver"].append(total_variation(exact, density()))
    print("total variation from float32:", {name: np.round(each, 4).tolist() for name, each in found.items()})


if __name__ == "__main__":
    accuracy()
    throughput("demo", 256)
    throughput("full", 64)
