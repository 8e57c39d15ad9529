"""Caches of densities that are known: any mixture and action at each step, several episodes and policies, without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlscore.cache.mixtures import mixture_arrays
from dlscore.cache.schema import FRAMES
from dlscore.cache.writer import CacheWriter, Header
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.density.regions import hdr_ranks, mass_inside
from dlscore.density.rounding import rounded
from dlscore.grid import Grid
from support.synthetic import frame

HORIZON, CURRENT, OWN, DENOISED = 8, 1, 4, 8


def gaussian(mean, sigma=25.0, box=None) -> Mixture:
    """One isotropic Gaussian [px]."""
    return mixture_of([(1.0, mean, sigma)], box)


def mixture_of(parts: Sequence[tuple[float, Sequence[float], float]], box=None) -> Mixture:
    """Isotropic Gaussians: (weight, mean [px], deviation [px]) each."""
    weight = np.array([part[0] for part in parts])
    mean = np.array([part[1] for part in parts], dtype=float)
    covariance = np.stack([np.eye(2) * part[2] ** 2 for part in parts])
    return Mixture(mean, covariance, weight, weight, box)


def write_known(
    path: Path,
    mixtures: Sequence[Mixture],
    *,
    actions: np.ndarray | None = None,
    episode: int = 0,
    policy: str = "known",
    dataset: str = "synthetic",
    seed: int = 0,
    resolution: int = 32,
    error: float = 0.02,
    state: np.ndarray | None = None,
    every: int = 1,
    success: bool | None = None,
    recorded: dict[str, np.ndarray] | None = None,
    rng: np.random.Generator | None = None,
) -> Path:
    """Write a cache with one mixture a step. actions: (T, 2) px, drawn from the mixtures by default, as are all chunks.

    success: of a rollout, whose reward then grows to 1 or 0.5; recorded: (T,) of the recorded action, as a cache may hold them.
    """
    rng = np.random.default_rng([seed, episode]) if rng is None else rng
    once = {id(each): rounded(each) for each in mixtures}  # many tests have one density at all steps
    mixtures, grid, steps = [once[id(each)] for each in mixtures], Grid(resolution), len(mixtures)
    actions = (
        np.concatenate([each.draw(1, rng) for each in mixtures]) if actions is None else np.asarray(actions, float)
    )
    own = np.stack([each.draw(OWN, rng) for each in mixtures])
    fine = np.stack([each.draw(DENOISED, rng) for each in mixtures])
    state = np.concatenate([actions, np.tile([256.0, 256.0, 0.5], (steps, 1))], axis=1) if state is None else state
    cells = {id(each): log_cell_density(each, grid) for each in once.values()}
    scores = np.stack([cells[id(each)] for each in mixtures])
    attrs = {"kind": "log_density", "units": "nats / px^2", "definition": "known", "parameters": {},
             "evaluations_per_step": 1, "checks": ["error", "log_error", "inside", "own_rank"], "density": "executed",
             "denoised": DENOISED, "components": len(mixtures[0].weight), "distances": [1.0, 4.0, 10.0]}  # fmt: skip
    attrs |= {} if mixtures[0].box is None else {"box": mixtures[0].box.tolist()}
    attrs["checks"] += [] if recorded is None else list(recorded)
    outcome = {} if success is None else {
        "reward": np.linspace(0, 1 if success else 0.5, steps), "success": np.arange(steps) == (steps - 1 if success else -1)
    }  # fmt: skip
    header = Header(
        time=np.arange(steps) * every / 10, grid=grid, chunks=OWN, horizon=HORIZON, drift_parts=("agent_px",),
        scores={"likelihood": attrs},
        attrs={"episode": episode, "fps": 10.0, "policy": policy, "dataset": dataset, "seed": seed, "key": policy,
               "current_action_index": CURRENT, "every": every, "outcome": list(outcome)}
        | ({} if success is None else {"executed_by": policy, "episode_success": int(success),
                                       "episode_best_reward": 1.0 if success else 0.5}),
    )  # fmt: skip
    writer = CacheWriter.create(path, header)
    ranks = np.empty((steps, OWN))
    for each in once.values():
        rows = [k for k in range(steps) if mixtures[k] is each]
        ranks[rows] = hdr_ranks(each, own[rows].reshape(-1, 2), rng).randomised.reshape(-1, OWN)
    arrays = {
        "scores/likelihood": scores,
        **mixture_arrays("likelihood", mixtures),
        "mixture/likelihood/denoised_chunks": np.repeat(fine[:, :, None], HORIZON, axis=2),
        "checks/likelihood/error": np.full(steps, error),
        "checks/likelihood/log_error": error * np.tile([1.0, 2.0, 5.0], (steps, 1)),
        "checks/likelihood/inside": np.array([mass_inside(each, grid.cell_area) for each in scores]),
        "checks/likelihood/own_rank": ranks,
        "predicted_action": own[:, 0],
        "predicted_chunks": np.repeat(own[:, :, None], HORIZON, axis=2),
        "expert_action": actions,
        "state": state,
        "drift": np.zeros((steps, 1)),
        **outcome,
        **{f"checks/likelihood/{name}": values for name, values in (recorded or {}).items()},
        FRAMES: np.stack([frame(np.clip(each, 16, 495)) for each in actions]),
    }
    writer.write(slice(0, steps), arrays)
    writer.finish()
    return path
