"""The families of policies by `type` of config.json. A new one is a class in a module of its own and one line in FAMILIES.

Another distribution adds one through an entry point of the group `dlscore.families`, whose name is the type.
"""

from __future__ import annotations

from typing import Any

from dlscore.common.choices import suggest
from dlscore.common.plugins import add_plugins
from dlscore.policy.act import ACT
from dlscore.policy.base import KINDS, Policy
from dlscore.policy.diffusion import Diffusion
from dlscore.policy.diffusion_policy import DiffusionPolicyProject
from dlscore.policy.errors import PolicyError
from dlscore.policy.multi_task_dit import MultiTaskDiT
from dlscore.policy.vqbet import VQBeT

__all__ = ["FAMILIES", "GROUP", "choose_family", "known_families"]

GROUP = "dlscore.families"
FAMILIES: dict[str, type[Policy]] = {
    each.family: each for each in (Diffusion, VQBeT, ACT, MultiTaskDiT, DiffusionPolicyProject)
}
# Why others of LeRobot's types are not scored.
REASONS = {
    "tdmpc": "it plans by sampling and has no density of the action",
    "evo1": "it starts from uniform noise, for which no density follows from its network",
    "gaussian_actor": "it is trained by reinforcement, and none for PushT is known",
    **dict.fromkeys(
        ("pi0", "pi05", "smolvla"),
        "its flow is known (FlowPath, ImposedPadding), but its loading was not compared with LeRobot's own sampler",
    ),
}


def known_families() -> dict[str, type[Policy]]:
    """The built-in families and those of other distributions, by type. Raises PolicyError for one that cannot be used."""
    found = add_plugins(FAMILIES, GROUP, Policy, PolicyError)
    for name, family in found.items():
        said, kind = getattr(family, "family", None), getattr(family, "kind", None)
        if said != name or kind not in KINDS:
            raise PolicyError(
                f"family {family.__qualname__} has family {said!r} and kind {kind!r}; its family is the name of its entry point, "
                f"{name!r}, and its kind one of {', '.join(KINDS)}"
            )
    return found


def choose_family(kind: Any, name: str) -> type[Policy]:
    """The family of policy `name`, whose config.json has `type` kind. Raises PolicyError for an unknown one."""
    families = known_families()
    if not isinstance(kind, str) or kind not in families:
        why = f": {REASONS[kind]}" if kind in REASONS else ""
        raise PolicyError(
            f"policy {name} is of type {kind!r}, which dlscore cannot score{why}; {suggest(str(kind), families)}"
        )
    return families[kind]
