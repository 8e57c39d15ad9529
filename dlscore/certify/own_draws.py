"""Current actions drawn by a policy's own sampler, a hundred thousand at a time.

The policy is a mixture's exact denoiser under the steps of its scheduler (`sampler_steps`), which is what `Policy.sample`
runs too, one module call a step. Here whole batches stay in the processor's cache, in single precision. Draws are kept on
disk under a key of everything that decides them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import torch
from torch import Tensor

from dlscore.certify.denoiser import Denoiser
from dlscore.certify.errors import CertifyError
from dlscore.certify.mixtures import HORIZON, NOW, Mixture
from dlscore.common.arrays import Array
from dlscore.policy.sampler_steps import SamplerSteps

BATCH = 4096  # chunks whose work fits the cache
VERSION = 1  # raise it when the same key gives other draws


@torch.inference_mode()
def run_sampler(denoiser: Denoiser, sampler: SamplerSteps, start: Tensor, noise: Callable[[], Tensor]) -> Tensor:
    """Chunks that the sampler makes of `start`, both (2, H, B); `noise()` is called at each step that adds some."""
    x = start
    for step in sampler:
        denoised = denoiser.denoise_columns(x, step.alpha, step.sigma)
        x = sampler.advance(step, denoised, x, noise() if step.noise_variance else 0.0)
    return x


def draw_actions(mixture: Mixture, sampler: SamplerSteps, count: int, seed: int) -> Array:
    """(count, 2) current actions in normalised units, float32; every batch has a random stream of its own."""
    denoiser = Denoiser(mixture, torch.float32)
    drawn = []
    for batch in range(-(-count // BATCH)):
        size = min(BATCH, count - batch * BATCH)
        state = np.random.SeedSequence((seed, batch)).generate_state(1, np.uint64)[0]
        stream = torch.Generator().manual_seed(int(state >> np.uint64(1)))  # it takes 63 bits

        def noise(size: int = size, stream: torch.Generator = stream) -> Tensor:
            return torch.randn(2, HORIZON, size, generator=stream)

        drawn.append(run_sampler(denoiser, sampler, noise(), noise)[:, NOW].T.numpy())
    return np.concatenate(drawn)


def stored_draws(mixture: Mixture, sampler: SamplerSteps, count: int, seed: int, folder: Path) -> Array:
    """`draw_actions`, read from `folder` where an earlier call left them. Raises CertifyError if it cannot be written."""
    path = folder / f"{_key(mixture, sampler, count, seed)}.npy"
    try:
        found: Array = np.load(path)
        if found.shape == (count, 2):
            return found
    except (OSError, ValueError, EOFError):  # not there, or not whole
        pass
    drawn = draw_actions(mixture, sampler, count, seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A name of its own, since other runs may store the same draws at this moment.
        with NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
            np.save(file, drawn)
        Path(file.name).replace(path)
    except OSError as error:
        raise CertifyError(
            f"--draws-dir {folder} cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    return drawn


def _key(mixture: Mixture, sampler: SamplerSteps, count: int, seed: int) -> str:
    text = hashlib.sha256(repr((VERSION, BATCH, count, seed, sampler.clip, sampler.steps)).encode())
    for array in (mixture.weights, mixture.chunks, mixture.covariances, mixture.correlation):
        text.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
    return text.hexdigest()[:32]
