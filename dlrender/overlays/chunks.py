"""The chunks sampled from the policy: their current actions, the whole chunks, and the predicted chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.path import Path

from dlrender.overlays.artists import HaloLines, Mark, line_handle, mark_handle
from dlrender.overlays.base import Overlay, StepView
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array


def chunks_from_now(cache: EpisodeCache, step: int) -> Array:
    """(M, H', 2) px of a step's M sampled chunks, from the current action to the end of the horizon."""
    chunks: Array = cache.predicted_chunks[step, :, cache.current :].astype(float)
    return chunks


@dataclass(frozen=True, kw_only=True)
class Cloud(Overlay):
    """A dot at the current action of each sampled chunk."""

    size: float = 4.5
    color: str = "#7df9ff"
    edge: float = 0.7

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        return [Mark(chunks_from_now(view.cache, view.step)[:, 0], "o", self.size, self.color, self.edge)]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [mark_handle("sampled actions", "o", self.size, self.color, self.edge)]


@dataclass(frozen=True, kw_only=True)
class Worms(Overlay):
    """Each sampled chunk as a line, from the current action to the end of the horizon."""

    linewidth: float = 1.0
    color: str = "#7df9ff"
    edge: float = 1.0
    alpha: float = 0.7

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        chunks = chunks_from_now(view.cache, view.step)
        paths = [Path(chunk) for chunk in chunks]
        return [HaloLines(paths, self.color, self.linewidth, self.edge, self.alpha)]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle("sampled chunks", color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Chunk(Overlay):
    """The predicted chunk, from the predicted action on: a line with a dot at each action."""

    linewidth: float = 1.4
    size: float = 3.2
    color: str = "white"
    edge: float = 1.2

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        chunk = chunks_from_now(view.cache, view.step)[0]
        line = HaloLines([Path(chunk)], self.color, self.linewidth, self.edge)
        dots = Mark(chunk, "o", self.size, self.color, self.edge / 2)
        return [line, dots]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle("predicted chunk", color=self.color, linewidth=self.linewidth, edge=self.edge, marker="o",
                            markersize=self.size)]  # fmt: skip
