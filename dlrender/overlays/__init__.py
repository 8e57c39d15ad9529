"""What is drawn over a picture. An overlay is a frozen dataclass of its looks, and one line in OVERLAYS."""

from dlrender.overlays.actions import Arrow, ExpertAction, ExpertTrace, PolicyPrediction
from dlrender.overlays.base import PANELS, Overlay, StepView
from dlrender.overlays.chunks import Chunk, Cloud, Worms
from dlrender.overlays.density import Contours, Landscape
from dlrender.overlays.labels import Counter, Drift
from dlrender.overlays.world import Agent, Block

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
           "Landscape",
           "Overlay",
           "PolicyPrediction",
           "StepView",
           "Worms",
]  # fmt: skip

# In the order in which they are drawn.
OVERLAYS: dict[str, type[Overlay]] = {
    "landscape": Landscape,
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
    "counter": Counter,
    "drift": Drift,
}
