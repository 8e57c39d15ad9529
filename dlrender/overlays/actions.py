"""Single actions: the recorded one, the policy's, the arrow between them, and the past recorded actions.

The recorded actions are an expert's, or in a policy's own episode those that it executed; legends say which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.path import Path

from dlrender.overlays.artists import HaloArrow, HaloLines, Mark, line_handle, mark_handle
from dlrender.overlays.base import Overlay, StepView
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array

SHADES = 5  # opacities of a trace, from its start to its end
# What legends call things, by `EpisodeCache.action_label`.
PAST = {"expert": "expert's past actions", "executed": "past executed actions"}
BETWEEN = {"expert": "policy to expert", "executed": "policy to executed"}
NOW = {"expert": "expert's action", "executed": "executed action"}


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

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        past = view.cache.expert_action[max(0, view.step - self.length) : view.step + 1].astype(float)
        if len(past) < 2:
            return []
        ends = np.unique(np.linspace(0, len(past) - 1, SHADES + 1).round().astype(int))
        pieces = [Path(past[first : last + 1]) for first, last in pairwise(ends)]
        alphas = np.linspace(0.25, 1, len(pieces))
        return [HaloLines(pieces, self.color, self.linewidth, self.edge, alphas)]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle(PAST[cache.action_label], color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Arrow(Overlay):
    """An arrow from the policy's prediction to the expert's action; none if they are closer than `shortest` px.

    It stops `gap` points before the expert's action, so that the cross there does not hide its head.
    """

    color: str = "#ffd60a"
    linewidth: float = 1.8
    edge: float = 1.6
    size: float = 9.0
    shortest: float = 4.0
    gap: float = 6.0

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        cache, step = view.cache, view.step
        start, end = cache.predicted_action[step].astype(float), cache.expert_action[step].astype(float)
        if np.hypot(*(end - start)) < self.shortest:
            return []
        arrow = HaloArrow(
            start, end, color=self.color, linewidth=self.linewidth, edge=self.edge, size=self.size, gap=self.gap
        )
        return [arrow]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle(BETWEEN[cache.action_label], color=self.color, linewidth=self.linewidth, edge=self.edge, marker=">",
                            markersize=4)]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Marker(Overlay):
    """A marker with a black edge at an action."""

    marker: str = "o"
    size: float = 10.0
    color: str = "white"
    edge: float = 1.1
    label: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.marker not in Line2D.filled_markers:
            self._refuse("marker", self.marker, f"one that can be filled: {' '.join(map(str, Line2D.filled_markers))}")

    def where(self, view: StepView) -> Array:
        """(2,) px of the action."""
        raise NotImplementedError

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        return [Mark(self.where(view)[None], self.marker, self.size, self.color, self.edge)]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [mark_handle(self.label, self.marker, self.size, self.color, self.edge)]


@dataclass(frozen=True, kw_only=True)
class PolicyPrediction(Marker):
    """A white star at the policy's predicted action."""

    marker: str = "*"
    size: float = 13.0
    color: str = "white"
    label: str = "policy's prediction"

    def where(self, view: StepView) -> Array:
        action: Array = view.cache.predicted_action[view.step]
        return action


@dataclass(frozen=True, kw_only=True)
class ExpertAction(Marker):
    """A red cross at the expert's action, or at the executed one; a `label` of a style's own stays."""

    marker: str = "X"
    size: float = 10.0
    color: str = "red"
    label: str = NOW["expert"]

    def where(self, view: StepView) -> Array:
        action: Array = view.cache.expert_action[view.step]
        return action

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        label = NOW[cache.action_label] if self.label == NOW["expert"] else self.label
        return [mark_handle(label, self.marker, self.size, self.color, self.edge)]
