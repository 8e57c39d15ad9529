"""What `likelihood` is made of, one choice changed at a time: mean and largest total variation over the analytic policies.

The noise that the chunks start from, the noise levels, the steps of the solver, one level or two, and how the Jacobian is
taken. Run by `make bench-budget`; tests/bench/README.md has what came out.
"""

import argparse
from contextlib import nullcontext
from unittest import mock

import numpy as np
import torch
from lerobot.policies.diffusion.modeling_diffusion import DiffusionConditionalUnet1d
from scipy.fft import idct
from speed import interleave, make_policy
from torch.func import jvp

from dlscore.certify import mixtures
from dlscore.certify.certify import certify, summarise
from dlscore.scores import multilevel, posterior, sampling
from dlscore.scores.likelihood import Likelihood

SOBOL = sampling.sobol_noise.__wrapped__  # without its memory, which a variant must not read


def independent(samples, horizon, current, seed):
    return np.random.default_rng(seed).standard_normal((samples, horizon, 2)).astype(np.float32)


def antithetic(samples, horizon, current, seed):
    half = independent(samples // 2, horizon, current, seed)
    return np.stack([half, -half], axis=1).reshape(samples, horizon, 2)


def frequencies(samples, horizon, current, seed):
    with mock.patch.object(
        sampling, "_directions", lambda horizon, current: idct(np.eye(horizon), axis=0, norm="ortho")
    ):
        return SOBOL(samples, horizon, current, seed)


def one_level(coarse, fine, step, grid):
    log_density = multilevel.log_cell_density(coarse.mean[step], coarse.covariance[step], grid)
    return multilevel.JoinedDensity(log_density, 0.0, 0.0)


def exact_posterior(policy, conditioning, x, t, epsilon):
    """`mixture.posterior` with the exact Jacobian, by forward-mode differentiation."""
    unet, now = policy.policy.diffusion.unet, policy.current
    alpha, sigma = policy.noise_level(t)
    columns = []
    with torch.inference_mode(False), torch.no_grad():  # inference mode knows no tangents
        flat = x.flatten(0, 1).clone()
        for axis in range(2):
            tangent = torch.zeros_like(flat)
            tangent[:, now, axis] = 1
            columns.append(jvp(lambda v: unet(v, torch.tensor([t])), (flat,), (tangent,))[1][:, now])
    jacobian = torch.stack(columns, dim=-1).double().numpy().reshape(*x.shape[:2], 2, 2)
    mean = ((x[:, :, now] - sigma * epsilon[:, :, now]) / alpha).double().numpy()
    covariance = (sigma / alpha) ** 2 * (np.eye(2) - sigma * jacobian)
    covariance = (covariance + covariance.swapaxes(-1, -2)) / 2
    return posterior.GaussianMixture(policy.to_px(mean), covariance * np.outer(policy.px_per_unit, policy.px_per_unit))


VARIANTS = [
    ("as it is", Likelihood(), {}, False),
    ("independent noise", Likelihood(), {"sobol_noise": independent}, False),
    ("antithetic noise", Likelihood(), {"sobol_noise": antithetic}, False),
    ("Sobol, frequencies only", Likelihood(), {"sobol_noise": frequencies}, False),
    *[(f"noise levels {t}, {round(0.4 * t)}", Likelihood(timestep=t), {}, False) for t in (6, 8, 12, 14)],
    *[(f"one noise level, {t}", Likelihood(timestep=t), {}, True) for t in (6, 8, 10, 14)],
    *[(f"{steps} solver steps", Likelihood(steps=steps), {}, False) for steps in (4, 5, 7, 9)],
    *[(f"differences of {step} σ", Likelihood(), {"DIFFERENCE": step}, False) for step in (0.01, 0.03, 0.3, 1.0)],
    ("exact Jacobian (jvp)", Likelihood(), {"posterior": exact_posterior}, False),
]  # fmt: skip


def time_jacobian() -> None:
    """Seconds of the two directions at the demo's size: by differences (two evaluations) and by jvp of LeRobot's module."""
    policy = make_policy("demo", "cpu")
    plain = DiffusionConditionalUnet1d(policy.config, 36).eval()
    x, given, t = torch.randn(1, 256, 16, 2), torch.randn(1, 36), torch.tensor([8])
    functions = {
        "differences": lambda: [policy.epsilon(x, 8, given) for _ in range(2)],
        "differences, LeRobot's module": lambda: [plain(x[0], t, given) for _ in range(2)],
        "jvp, LeRobot's module": lambda: [
            jvp(lambda v: plain(v, t, given), (x[0],), (torch.ones_like(x[0]),)) for _ in range(2)
        ],
    }
    with torch.no_grad():
        seconds = interleave(functions, 7, lambda: None)
    print("seconds for 256 chunks:", {name: round(each, 3) for name, each in seconds.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--choice", default="", help="only those whose name has this in it")
    options = parser.parse_args()
    print("| choice | evaluations | TV | TV max | modes |\n|---|---|---|---|---|")
    for name, scorer, changes, single in VARIANTS:
        if options.choice not in name:
            continue
        patched = mock.patch.multiple(sampling, **changes) if changes else nullcontext()
        with patched, mock.patch.object(multilevel, "join", one_level if single else multilevel.join):
            (row,) = summarise(
                certify({name: scorer}, mixtures=mixtures.MIXTURES, seeds=range(options.seeds)), {name: scorer}
            )
        row["evaluations"] -= 3 * scorer.followed if single else 0  # which the fine level costs
        print(f"| {name} | {row['evaluations']:,} | {row['tv_mean']:.3f} | {row['tv_max']:.3f} | {row['modes_found']:.0%} |",
              flush=True)  # fmt: skip
    time_jacobian()


if __name__ == "__main__":
    main()
