"""Single actions: the expert's, the policy's, the arrow between them, and the expert's past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform

from dlrender.overlays.base import Array, Mark, Moment, Outlined, Overlay, line_handle, mark_handle, place, strokes
from dlscore.cache import EpisodeCache

SHADES = 5  # of a trace, from its start to its end
SHAFT_AND_HEAD = (Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY)


@dataclass(frozen=True, kw_only=True)
class ExpertTrace(Overlay):
    """The expert's last `length` actions as a line that fades into the past."""

    length: int = 20
    linewidth: float = 1.6
    edge: float = 1.4
    color: str = "#ff6b6b"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 1:
            self._refuse("length", self.length, "1 or more actions")

    def draw(self, axes: Axes, moment: Moment) -> Sequence[Artist]:
        past = moment.episode.expert_action[max(0, moment.step - self.length) : moment.step + 1].astype(float)
        if len(past) < 2:
            return []
        ends = np.unique(np.linspace(0, len(past) - 1, SHADES + 1).round().astype(int))
        pieces = [Path(past[first : last + 1]) for first, last in pairwise(ends)]
        alphas = np.linspace(0.25, 1, len(pieces))
        return [place(axes, Outlined(pieces, self.color, self.linewidth, self.edge, alphas))]

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle("expert's past actions", color=self.color, linewidth=self.linewidth, edge=self.edge)]


class Pointed(Artist):
    """A straight line that ends in a solid head: matplotlib's FancyArrowPatch "-|>" with a halo, in a third of the time."""

    def __init__(self, start: Array, end: Array, looks: Arrow) -> None:
        super().__init__()
        self.start, self.end, self.looks = start, end, looks

    def draw(self, renderer: Any) -> None:
        looks, pixels = self.looks, renderer.points_to_pixels(1.0)
        (start, end), head = self.get_transform().transform([self.start, self.end]), 0.4 * looks.size * pixels
        length = np.hypot(*(end - start))
        if not self.get_visible() or length <= (looks.gap * pixels):
            return
        along = (end - start) / length
        across = np.array([-along[1], along[0]])
        tip = end - along * looks.gap * pixels
        base = tip - along * min(head, np.dot(tip - start, along))
        # One path, whose fill is the head's: that of a line is empty.
        corners = [start, base, tip, base + across * head / 2, base - across * head / 2, tip]
        path = Path(np.array(corners), SHAFT_AND_HEAD)
        gc = renderer.new_gc()
        self._set_gc_clip(gc)  # type: ignore[attr-defined]
        gc.set_snap(False)
        gc.set_joinstyle("miter")
        for color, width in strokes(looks.color, looks.linewidth, looks.edge):
            gc.set_linewidth(width)
            gc.set_foreground(color)
            renderer.draw_path(gc, path, IdentityTransform(), to_rgba(color))
        gc.restore()


@dataclass(frozen=True, kw_only=True)
class Arrow(Overlay):
    """An arrow from the policy's prediction to the expert's action; none where they are closer than `shortest` px.

    It ends `gap` points early, so that the cross at the expert's action does not hide its head.
    """

    color: str = "#ffd60a"
    linewidth: float = 1.8
    edge: float = 1.6
    size: float = 9.0
    shortest: float = 4.0
    gap: float = 6.0

    def draw(self, axes: Axes, moment: Moment) -> Sequence[Artist]:
        episode, step = moment.episode, moment.step
        start, end = episode.predicted_action[step].astype(float), episode.expert_action[step].astype(float)
        if np.hypot(*(end - start)) < self.shortest:
            return []
        return [place(axes, Pointed(start, end, self))]

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle("policy to expert", color=self.color, linewidth=self.linewidth, edge=self.edge, marker=">",
                            markersize=4)]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Marker(Overlay):
    """A mark at an action, with a black rim."""

    marker: str = "o"
    size: float = 10.0
    color: str = "white"
    edge: float = 1.1
    label: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.marker not in Line2D.filled_markers:
            self._refuse("marker", self.marker, f"one that can be filled: {' '.join(map(str, Line2D.filled_markers))}")

    def where(self, moment: Moment) -> Array:
        """(2,) px of the action."""
        raise NotImplementedError

    def draw(self, axes: Axes, moment: Moment) -> Sequence[Artist]:
        return [place(axes, Mark(self.where(moment)[None], self.marker, self.size, self.color, self.edge))]

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        return [mark_handle(self.label, self.marker, self.size, self.color, self.edge)]


@dataclass(frozen=True, kw_only=True)
class PolicyPrediction(Marker):
    """A white star at the policy's predicted action."""

    marker: str = "*"
    size: float = 13.0
    color: str = "white"
    label: str = "policy's prediction"

    def where(self, moment: Moment) -> Array:
        action: Array = moment.episode.predicted_action[moment.step]
        return action


@dataclass(frozen=True, kw_only=True)
class ExpertAction(Marker):
    """A red cross at the expert's action."""

    marker: str = "X"
    size: float = 10.0
    color: str = "red"
    label: str = "expert's action"

    def where(self, moment: Moment) -> Array:
        action: Array = moment.episode.expert_action[moment.step]
        return action
