"""A small cache whose every number is known, made without torch, lerobot or gym-pusht."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from dlscore.cache import checksums
from dlscore.cache.mixtures import mixture_arrays
from dlscore.cache.schema import FRAMES
from dlscore.cache.writer import CacheWriter, Header
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.density.regions import mass_inside
from dlscore.density.rounding import rounded
from dlscore.grid import Grid

WHITE, GREEN, BLUE, GRAY = (255, 255, 255), (144, 238, 144), (65, 105, 225), (119, 136, 153)
WORLD = np.full((512, 512, 3), WHITE, dtype=np.uint8)  # less the agent
WORLD[220:292, 220:292] = GREEN
WORLD[300:330, 300:420] = GRAY


def gaussian_log_density(grid: Grid, mean: np.ndarray, sigma: float) -> np.ndarray:
    """(N, N) log density [nats / px²] of an isotropic Gaussian at the cells' centres."""
    squared = np.sum((grid.actions - mean) ** 2, axis=-1)
    return -squared / (2 * sigma**2) - np.log(2 * np.pi * sigma**2)


def frame(agent: np.ndarray) -> np.ndarray:
    """(512, 512, 3) a white world with a green goal, a gray block and the agent's blue disc of 15 px."""
    image = WORLD.copy()
    left, top = (max(0, int(coordinate) - 16) for coordinate in agent)  # of a box about the disc
    y, x = np.ogrid[top : min(top + 33, 512), left : min(left + 33, 512)]
    disc = (x + 0.5 - agent[0]) ** 2 + (y + 0.5 - agent[1]) ** 2 <= 15**2
    image[top : top + 33, left : left + 33][disc] = BLUE
    return image


def write_cache(
    path: Path,
    *,
    episode: int = 0,
    steps: int = 6,
    resolution: int = 32,
    expert: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
    sigma: float = 30.0,
    methods: tuple[str, ...] = ("likelihood", "distance"),
    drift: np.ndarray | None = None,
    finish: bool = True,
    mixture: Mixture | None = None,
) -> Path:
    """Write `path`: at each step the likelihood is a Gaussian about the expert's action, which is where the agent is.

    expert, predicted: (steps, 2) px; by default they move along a line. Two chunks of 16 actions go from the prediction,
    their entry 1, along two lines. drift: (steps, 3), none by default. mixture: the likelihood's at every step, moved to the
    expert's action from the world's centre; with it come its checks and four denoised chunks.
    """
    grid = Grid(resolution)
    ramp = np.linspace(0, 1, steps)[:, None]
    expert = (
        np.array([100.0, 400.0]) + ramp * [200.0, -150.0] if expert is None else np.broadcast_to(expert, (steps, 2))
    )
    predicted = expert + [40.0, -25.0] if predicted is None else np.broadcast_to(predicted, (steps, 2))
    definitions = {
        "likelihood": {
            "units": "nats / px^2",
            "kind": "log_density",
            "definition": "log density of the current action",
        },
        "distance": {"units": "px", "kind": "score", "definition": "minus the distance to the predicted action"},
        "noise_pred": {"units": "nats", "kind": "score", "definition": "minus the denoising error"},
    }
    common = {"parameters": {}, "evaluations_per_step": 1}
    mixtures = [] if mixture is None else [moved(mixture, expert[k] - 256) for k in range(steps)]
    if mixture is not None:
        definitions["likelihood"] |= {
            "checks": ["error", "log_error", "inside", "own_rank"], "density": "executed", "denoised": 4,
            "components": len(mixture.weight), "distances": [1.0, 3.0, 8.0],
        } | ({} if mixture.box is None else {"box": mixture.box.tolist()})  # fmt: skip
    header = Header(
        time=np.arange(steps) / 10,
        grid=grid,
        chunks=2,
        horizon=16,
        drift_parts=("agent_px", "block_px", "block_rad"),
        scores={name: definitions[name] | common for name in methods},
        attrs={
            "episode": episode,
            "fps": 10.0,
            "policy": "synthetic",
            "dataset": "synthetic",
            "seed": 0,
            "key": "synthetic",
            "current_action_index": 1,
        },
    )
    writer = CacheWriter.create(path, header)
    away = [np.linalg.norm(grid.actions - predicted[k], axis=-1) for k in range(steps)]
    scores = {
        "likelihood": [log_cell_density(each, grid) for each in mixtures]
        or [gaussian_log_density(grid, expert[k], sigma) for k in range(steps)],
        "distance": [-distance for distance in away],
        "noise_pred": [-((distance / 50) ** 2) for distance in away],
    }
    along = (np.arange(16) - 1)[:, None] * np.array([[[4.0, -3.0]], [[5.0, 2.0]]])
    chunks = predicted[:, None, None, :] + along + np.array([[[0.0, 0.0]], [[9.0, 6.0]]])
    drift = np.zeros((steps, 3)) if drift is None else drift
    last = steps if finish else steps // 2
    for start in range(0, last, 100):
        rows = slice(start, min(start + 100, last))
        writer.write(
            rows,
            {
                **{f"scores/{name}": np.stack(scores[name][rows]) for name in methods},
                **density_arrays(mixtures[rows], np.stack(scores["likelihood"][rows]), grid, chunks[rows]),
                "predicted_action": predicted[rows],
                "predicted_chunks": chunks[rows],
                "expert_action": expert[rows],
                "state": np.concatenate([expert[rows], np.tile([360.0, 315.0, 0.5], (rows.stop - start, 1))], axis=1),
                "drift": drift[rows],
                FRAMES: np.stack([frame(position) for position in expert[rows]]),
            },
        )
    if finish:
        writer.finish()
    return path


def moved(mixture: Mixture, away: np.ndarray) -> Mixture:
    """The mixture as a cache keeps it, with its means moved [px]."""
    return rounded(replace(mixture, mean=mixture.mean + away))


def density_arrays(
    mixtures: list[Mixture], values: np.ndarray, grid: Grid, chunks: np.ndarray
) -> dict[str, np.ndarray]:
    """What a cache keeps of the likelihood beside its scores: errors and ranks that grow from step to step."""
    if not mixtures:
        return {}
    ramp = np.linspace(0.01, 0.2, len(mixtures))
    return mixture_arrays("likelihood", mixtures) | {
        "mixture/likelihood/denoised_chunks": np.repeat(chunks[:, :1], 4, axis=1),
        "checks/likelihood/error": ramp,
        "checks/likelihood/log_error": ramp[:, None] * [1.0, 2.0, 5.0],
        "checks/likelihood/inside": np.array([mass_inside(each, grid.cell_area) for each in values]),
        "checks/likelihood/own_rank": np.stack([ramp, 1 - ramp], axis=-1),
    }


def tamper(path: Path, change) -> None:
    """Change a cache and leave its checksums as they were, as another program would."""
    with h5py.File(path, "r+") as file:
        change(file)


def rewrite(path: Path, change) -> None:
    """Change a cache and take its checksums anew, as a program that writes wrong numbers would leave it."""
    with h5py.File(path, "r+") as file:
        change(file)
        checksums.record(file)
