"""The chunks that were drawn from the policy: where they begin, where they lead, and the one that is the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.path import Path

from dlrender.errors import RenderError
from dlrender.overlays.artists import HaloLines, Mark, line_handle, mark_handle, place
from dlrender.overlays.base import Overlay, StepView
from dlscore.cache.reader import EpisodeCache
from dlscore.common.arrays import Array


def from_now(episode: EpisodeCache, step: int) -> Array:
    """(M, H', 2) px of a step's M sampled chunks, from the current action to the end of the horizon."""
    chunks = episode.predicted_chunks[step].astype(float)
    now = episode.attrs.get("current_action_index")
    if type(now) is not int or not 0 <= now < chunks.shape[1]:
        raise RenderError(
            f"{episode.path} does not say which action of a chunk is the current one (current_action_index {now}); leave "
            "out --overlay cloud, worms and chunk, or compute it again"
        )
    left: Array = chunks[:, now:]
    return left


@dataclass(frozen=True, kw_only=True)
class Cloud(Overlay):
    """A dot at the current action of each sampled chunk."""

    size: float = 4.5
    color: str = "#7df9ff"
    edge: float = 0.7

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        return [place(axes, Mark(from_now(view.episode, view.step)[:, 0], "o", self.size, self.color, self.edge))]

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        return [mark_handle("sampled actions", "o", self.size, self.color, self.edge)]


@dataclass(frozen=True, kw_only=True)
class Worms(Overlay):
    """Each sampled chunk as a line, from the current action to the end of the horizon."""

    linewidth: float = 1.0
    color: str = "#7df9ff"
    edge: float = 1.0
    alpha: float = 0.7

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        chunks = from_now(view.episode, view.step)
        paths = [Path(chunk) for chunk in chunks]
        return [place(axes, HaloLines(paths, self.color, self.linewidth, self.edge, self.alpha))]

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle("sampled chunks", color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Chunk(Overlay):
    """The predicted chunk, of which the predicted action is the first: a line with a dot at each action."""

    linewidth: float = 1.4
    size: float = 3.2
    color: str = "white"
    edge: float = 1.2

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        chunk = from_now(view.episode, view.step)[0]
        line = HaloLines([Path(chunk)], self.color, self.linewidth, self.edge)
        dots = Mark(chunk, "o", self.size, self.color, self.edge / 2)
        return [place(axes, line), place(axes, dots)]

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle("predicted chunk", color=self.color, linewidth=self.linewidth, edge=self.edge, marker="o",
                            markersize=self.size)]  # fmt: skip
