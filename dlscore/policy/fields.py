"""Fields of config.json that the installed LeRobot does not know: left out where they cannot matter, else refused.

A checkpoint carries every field of the LeRobot that saved it, and LeRobot decodes none that it does not know. Whether a
field matters is decided by its name, never by its value.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from dlscore.policy.errors import PolicyError

# Field -> why it cannot change a score. The first two are all that LeRobot 0.5.1 to 0.6.1 added; the others are what its
# other policies have beside the optimizer_lr and scheduler_name of this one.
TRAINING_ONLY = {
    "gradient_checkpointing": "it recomputes activations in the backward pass, and scoring has none",
    "pretrained_revision": "it says where training began, and the weights are those where it ended",
    "optimizer_grad_clip_norm": "it limits gradients, and scoring has none",
    "scheduler_decay_steps": "it is of the learning rate, and scoring learns nothing",
    "scheduler_decay_lr": "it is of the learning rate, and scoring learns nothing",
}


def known_fields(
    written: Mapping[str, Any], known: Collection[str], version: str, name: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(fields of `written` that are `known` to LeRobot `version`, notes for the user on those that were left out).

    PolicyError for a field that is neither known nor one of training alone.
    """
    unknown = [field for field in written if field not in known]
    if others := [field for field in unknown if field not in TRAINING_ONLY]:
        near = difflib.get_close_matches(others[0], known, n=1, cutoff=0.5)
        raise PolicyError(
            f"config.json of policy {name} has {_quoted(others)}, which LeRobot {version} does not know and which may make it "
            f"another network; {f'the nearest field that it knows is {near[0]!r}; ' if near else ''}correct the name, or "
            "install the LeRobot that saved the policy"
        )
    kept = {field: value for field, value in written.items() if field in known}
    if not unknown:
        return kept, ()
    why = "; ".join(f"{field}: {TRAINING_ONLY[field]}" for field in unknown)
    note = f"config.json of policy {name} has fields that LeRobot {version} does not know, left out as they cannot change a score"
    return kept, (f"{note} ({why})",)


def _quoted(fields: Collection[str]) -> str:
    return ", ".join(repr(field) for field in list(fields)[:6]) + (
        f" and {len(fields) - 6} more" if len(fields) > 6 else ""
    )
