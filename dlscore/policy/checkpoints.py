"""The checkpoints of a training run: `RUN/checkpoints/<step>/pretrained_model`, as LeRobot writes them."""

from __future__ import annotations

from pathlib import Path

from dlscore.common.choices import suggest
from dlscore.policy.errors import PolicyError
from dlscore.policy.folder import numbered_checkpoints

__all__ = ["choose_checkpoints", "list_checkpoints"]


def list_checkpoints(run: str | Path) -> dict[str, Path]:
    """The completely saved checkpoints of a training run, by the name of their step, earliest first.

    run: its folder, or that of its checkpoints. PolicyError if there is none.
    """
    found = {}
    for step in numbered_checkpoints(Path(run))[1]:
        model = step / "pretrained_model"
        if (model / "config.json").is_file() and (model / "model.safetensors").is_file():
            found[step.name] = model
    if not found:
        raise PolicyError(
            f"{run} has no checkpoints/<step>/pretrained_model; --checkpoints needs the folder of a training run, as "
            "lerobot-train writes it"
        )
    return found


def choose_checkpoints(run: str | Path, chosen: str) -> dict[str, Path]:
    """Those of `list_checkpoints` that `all` or `5000,010000` names, leading zeros or not; PolicyError for others."""
    there = list_checkpoints(run)
    if chosen.strip() == "all":
        return there
    steps = {int(name): name for name in there}
    wanted = []
    for item in chosen.split(","):
        text = item.strip()
        number = int(text) if text.isascii() and text.isdigit() else -1
        if number not in steps:
            raise PolicyError(f"--checkpoints {chosen!r} has {text!r}; {suggest(text, ['all', *there])}")
        wanted.append(number)
    return {steps[number]: there[steps[number]] for number in sorted(set(wanted))}
