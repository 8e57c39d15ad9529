"""Speed and memory of scoring, at the demo policy's size and at the full size, beside the published definition.

    throughput   the U-Net as it is used, and LeRobot's own module, against dense products of the same shapes
    step         seconds a step (encode, 8 chunks, score), ours beside the published likelihood on a part of its cells
    memory       peak memory of a run at 50 and at 200 cells a side

All of a comparison is interleaved in one run; figures are medians. Run by `make bench`; `--device cuda` does it on a GPU.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionConditionalUnet1d, DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors
from published import PublishedLikelihood
from torch.utils.flop_counter import FlopCounterMode

from dlscore.compute.episode import BLOCK_STEPS
from dlscore.grid import Grid
from dlscore.policy.diffusion import Diffusion
from dlscore.policy.load import BATCH_SIZES, pick_device
from dlscore.scores.likelihood import Likelihood

LEROBOT = "LeRobot's"
SIZES = {"demo": (64, 128, 256), "full": (512, 1024, 2048)}
STATE, ENVIRONMENT = "observation.state", "observation.environment_state"


def make_policy(size: str, device: str, batch_size: int | None = None) -> Diffusion:
    """A policy of random weights; the time does not depend on them."""
    config = DiffusionConfig(
        n_obs_steps=2, horizon=16, n_action_steps=8, down_dims=SIZES[size], use_film_scale_modulation=True,
        input_features={
            STATE: PolicyFeature(type=FeatureType.STATE, shape=(2,)),
            ENVIRONMENT: PolicyFeature(type=FeatureType.ENV, shape=(16,)),
        },
        output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(2,))},
        normalization_mapping=dict.fromkeys(("STATE", "ENV", "ACTION"), "MIN_MAX"),
        pretrained_backbone_weights=None, device=device, push_to_hub=False,
    )  # fmt: skip
    torch.manual_seed(0)
    policy = DiffusionPolicy(config).to(device).eval()
    span = {"min": torch.zeros(2), "max": torch.full((2,), 512.0)}
    wide = {"min": torch.zeros(16), "max": torch.full((16,), 512.0)}
    processors = make_pre_post_processors(config, dataset_stats={STATE: span, ENVIRONMENT: wide, "action": span})
    return Diffusion(policy, *processors, name=size, revision="", fingerprint="", device=torch.device(device),
                  batch_size=batch_size or BATCH_SIZES.get(device, 2048))  # fmt: skip


def interleave(functions: dict, repeats: int, synchronize, warm: bool = True) -> dict:
    """Median seconds of each function, all called in turn `repeats` times, after a first call if `warm`."""
    times = {name: [] for name in functions}
    for k in range(0 if warm else 1, repeats + 1):
        for name, function in functions.items():
            synchronize()
            began = time.perf_counter()
            function()
            synchronize()
            if k:
                times[name].append(time.perf_counter() - began)
    return {name: float(np.median(each)) for name, each in times.items()}


def dense_products(unet: DiffusionConditionalUnet1d, batch: int) -> list[tuple[int, int, int]]:
    """(m, k, n) of every convolution as a product of unfolded rows, for a batch of chunks."""
    shapes: list[tuple[int, int, int]] = []

    def record(module, inputs, output):
        m = output.shape[0] * output.shape[2]
        shapes.append((m, module.in_channels * module.kernel_size[0], module.out_channels))

    hooks = [m.register_forward_hook(record) for m in unet.modules() if isinstance(m, torch.nn.Conv1d)]
    device = next(unet.parameters()).device
    with torch.inference_mode():
        unet(
            torch.zeros(batch, 16, 2, device=device),
            torch.zeros(batch, device=device),
            torch.zeros(batch, 36, device=device),
        )
    for hook in hooks:
        hook.remove()
    return shapes


def packed_product(x: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


@torch.inference_mode()
def throughput(size: str, device: str, batch: int, repeats: int, synchronize) -> dict:
    policy = make_policy(size, device)
    theirs = DiffusionConditionalUnet1d(policy.config, 36).to(device).eval()
    with FlopCounterMode(display=False) as counter:
        theirs(torch.zeros(1, 16, 2, device=device), torch.zeros(1, device=device), torch.zeros(1, 36, device=device))
    flops = counter.get_total_flops()
    shapes = sorted(set(dense_products(theirs, batch)), key=lambda s: -s[0] * s[1] * s[2])[:3]
    x, given = torch.randn(1, batch, 16, 2, device=device), torch.randn(1, 36, device=device)
    policy.batch_size = batch
    functions = {
        "ours": lambda: policy.epsilon(x, 8, given),
        LEROBOT: lambda: theirs(x[0], torch.full((batch,), 8, device=device), given.expand(batch, -1)),
    }
    for m, k, n in shapes:
        a, b = torch.randn(m, k, device=device), torch.randn(n, k, device=device)
        functions[f"torch.mm {m}x{k}x{n}"] = lambda a=a, b=b: a @ b.T
        if device == "cpu":
            packed = torch.ops.mkldnn._reorder_linear_weight(b)
            functions[f"oneDNN packed {m}x{k}x{n}"] = lambda a=a, packed=packed: packed_product(a, packed)
    seconds = interleave(functions, repeats, synchronize)
    rates = {name: batch * flops / seconds[name] / 1e9 for name in ("ours", LEROBOT)}
    for name in functions:
        if "x" in name.split()[-1]:
            m, k, n = map(int, name.split()[-1].split("x"))
            rates[name] = 2 * m * k * n / seconds[name] / 1e9
    best = max(rate for name, rate in rates.items() if name not in ("ours", LEROBOT))
    print(f"\n{size}: {flops / 1e9:.4f} GFLOP a chunk, batch {batch}")
    print(f"  ours       {batch / seconds['ours']:8.0f} evaluations/s  {rates['ours']:6.0f} GFLOP/s  "
          f"{100 * rates['ours'] / best:.0f} % of the best dense product")  # fmt: skip
    print(f"  LeRobot's  {batch / seconds[LEROBOT]:8.0f} evaluations/s  {rates[LEROBOT]:6.0f} GFLOP/s")
    for name, rate in rates.items():
        if name not in ("ours", LEROBOT):
            print(f"  {name}: {rate:.0f} GFLOP/s")
    return {
        "gflop_per_chunk": flops / 1e9,
        "evaluations_per_s": batch / seconds["ours"],
        "gflops": rates,
        "of_best_product": rates["ours"] / best,
    }


def step(size: str, device: str, cells: int, repeats: int, synchronize) -> dict:
    """Seconds a step: ours in a block of 10 steps, as `dlscore compute` goes; the published likelihood on some cells.

    The published one runs LeRobot's module in batches of 100, its --batch-size, and is scaled from `cells` to 2,500.
    """
    ours, grid = make_policy(size, device), Grid(50)
    theirs = make_policy(size, device, batch_size=100)
    theirs.policy.diffusion.unet = DiffusionConditionalUnet1d(theirs.config, 36).to(device).eval()
    theirs.accelerated = True  # leave LeRobot's own layers
    chosen = theirs.from_px(grid.actions.reshape(-1, 2)[:: 2500 // cells][:cells])

    def window(steps: int) -> dict:
        return {STATE: np.full((steps, 2, 2), 200, np.float32), ENVIRONMENT: np.full((steps, 2, 16), 200, np.float32)}

    def block():
        ours.sample(ours.encode(window(BLOCK_STEPS)), [[8 * k + m for m in range(8)] for k in range(BLOCK_STEPS)])
        score()

    def score():
        Likelihood().score(ours, ours.encode(window(BLOCK_STEPS)), np.empty(0), grid, 0)

    def published():
        PublishedLikelihood().cells(theirs, theirs.encode(window(1)), chosen, 0)

    seconds = interleave(
        {"ours": block, "score": score, "published": published}, repeats, synchronize, warm=size == "demo"
    )
    whole, each, alone = (
        seconds["published"] * 2500 / cells,
        seconds["ours"] / BLOCK_STEPS,
        seconds["score"] / BLOCK_STEPS,
    )
    print(f"\n{size}: ours {each:.2f} s a step (score alone {alone:.2f} s); published {whole:.0f} s ({cells} of 2,500 cells in "
          f"{seconds['published']:.1f} s): {whole / each:.0f} times, score alone {whole / alone:.0f} times")  # fmt: skip
    return {"ours_s": each, "score_s": alone, "published_s": whole, "cells_timed": cells, "ratio": whole / each}


def memory(device: str) -> dict:
    """Peak memory [MB] of each method in a process of its own, at 50 and 200 cells a side, less that of the loaded policy."""
    found = {}
    for method in ("likelihood", "noise_pred"):
        for resolution in (50, 200):
            run = subprocess.run(
                [sys.executable, __file__, "--device", device, "--child", method, str(resolution)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found[f"{method} {resolution}"] = float(run.stdout.split()[-1])
    print("\npeak memory above the loaded policy [MB], demo size, batch 256:", {k: round(v) for k, v in found.items()})
    return found


def child(method: str, resolution: int, device: str) -> None:
    from dlscore.scores.methods import make_scorers

    policy = make_policy("demo", device)
    conditioning = policy.encode(
        {STATE: np.full((1, 2, 2), 200, np.float32), ENVIRONMENT: np.full((1, 2, 16), 200, np.float32)}
    )
    chunks = policy.to_px(policy.sample(conditioning, [[0]]).cpu().double().numpy())
    scorer = make_scorers({method: {}})[method]
    scorer.score(policy, conditioning, chunks, Grid(10), 0)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        scorer.score(policy, conditioning, chunks, Grid(resolution), 0)
        print((torch.cuda.max_memory_allocated() - before) / 1e6)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts anew
        before = resident("VmRSS")
        scorer.score(policy, conditioning, chunks, Grid(resolution), 0)
        print((resident("VmHWM") - before) / 1e3)


def resident(field: str) -> float:
    """[kB] a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cells", type=int, default=100, help="of the published likelihood's 2,500, at full size")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2)
    options = parser.parse_args()
    device = pick_device(options.device)
    if options.child:
        return child(options.child[0], int(options.child[1]), device)
    kind = device.split(":")[0]
    synchronize = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(kind, lambda: None)
    name = torch.cuda.get_device_name() if device.startswith("cuda") else f"{torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {device}, {name}, {torch.backends.cpu.get_cpu_capability()}")
    report = {
        "throughput": {
            size: throughput(size, device, 256, options.repeats if size == "demo" else 3, synchronize) for size in SIZES
        },
        "step": {
            "demo": step("demo", device, 500, options.repeats, synchronize),
            "full": step("full", device, options.cells, 1, synchronize),
        },
    }
    if kind == "cuda" or Path("/proc/self/clear_refs").exists():
        report["memory"] = memory(device)
    else:
        print("\npeak memory is measured on Linux or CUDA only")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
