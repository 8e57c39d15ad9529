"""Running out of device memory: the same work again with half the batch."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dlscore.common.errors import UserError
from dlscore.policy.base import Policy

# Messages of torch where it has no exception type for it: on the CPU and on Apple's GPUs.
WORDS = ("out of memory", "can't allocate memory", "not enough memory")


class OutOfMemory(UserError):
    """A device without memory for a single chunk."""


def within_memory[T](policy: Policy, work: Callable[[], T], notice: Callable[[str], None]) -> T:
    """What `work` returns, with the policy's batch size halved until it fits. Scores then agree to rounding."""
    while True:
        try:
            return work()
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not isinstance(error, torch.OutOfMemoryError) and not any(words in str(error) for words in WORDS):
                raise
            if policy.batch_size == 1:
                raise OutOfMemory(
                    f"{policy.device} has no memory for policy {policy.name}, even with --batch-size 1; free some, or use "
                    "another --device"
                ) from error
        # Outside the except block, whose traceback keeps the tensors alive.
        policy.batch_size //= 2
        if policy.device.type == "cuda":
            torch.cuda.empty_cache()
        notice(f"{policy.device} is out of memory; continuing with --batch-size {policy.batch_size}")
