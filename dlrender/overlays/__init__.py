"""What is drawn over a heatmap or an environment. A built-in overlay is one module here and one line in OVERLAYS."""

import re

from dlrender.errors import RenderError
from dlrender.overlays.actions import Arrow, ExpertAction, ExpertTrace, PolicyPrediction
from dlrender.overlays.base import PANELS, Overlay, StepView
from dlrender.overlays.chunks import Chunk, Cloud, Worms
from dlrender.overlays.density import Contours, Landscape, Regions
from dlrender.overlays.inset import Inset
from dlrender.overlays.labels import Counter, Drift, Inside
from dlrender.overlays.world import Agent, Block, Goal, Scale, World
from dlscore.common.plugins import add_plugins

__all__ = [
           "OVERLAYS",
           "PANELS",
           "Agent",
           "Arrow",
           "Block",
           "Chunk",
           "Cloud",
           "Contours",
           "Counter",
           "Drift",
           "ExpertAction",
           "ExpertTrace",
           "Goal",
           "Inset",
           "Inside",
           "Landscape",
           "Overlay",
           "PolicyPrediction",
           "Regions",
           "Scale",
           "StepView",
           "World",
           "Worms",
           "check_name",
           "known_overlays",
]  # fmt: skip

GROUP = "dlrender.overlays"  # of entry points

# The built-in overlays in drawing order.
OVERLAYS: dict[str, type[Overlay]] = {
    "world": World,
    "landscape": Landscape,
    "regions": Regions,
    "goal": Goal,
    "block": Block,
    "agent": Agent,
    "cloud": Cloud,
    "worms": Worms,
    "contours": Contours,
    "trace": ExpertTrace,
    "chunk": Chunk,
    "arrow": Arrow,
    "prediction": PolicyPrediction,
    "expert": ExpertAction,
    "inset": Inset,
    "counter": Counter,
    "drift": Drift,
    "inside": Inside,
    "scale": Scale,
}


def known_overlays() -> dict[str, type[Overlay]]:
    """All overlays by name in drawing order: the built-in ones, then those of the entry point group `dlrender.overlays`."""
    known = add_plugins(OVERLAYS, GROUP, Overlay, RenderError)
    for name, kind in known.items():
        if name not in OVERLAYS:
            _check_plugin(name, kind)
    return known


def check_name(name: str) -> None:
    """Raise RenderError for a name that `--overlay name:key=value` could not express."""
    if name == "all" or not re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII):
        raise RenderError(f"overlay name {name!r} is not allowed; choose letters, digits, - and _ (but not all)")


def _check_plugin(name: str, kind: type[Overlay]) -> None:
    check_name(name)
    where = f"overlay {name} ({kind.__module__}.{kind.__qualname__}, of the entry points {GROUP})"
    if "__dataclass_fields__" not in vars(kind):  # else its fields would be those of its base
        raise RenderError(f"{where} is no dataclass; decorate it with @dataclass(frozen=True, kw_only=True)")
    try:
        kind()
    except (TypeError, RenderError) as error:
        raise RenderError(f"{where} lacks valid defaults ({error}); give every field a default") from error
