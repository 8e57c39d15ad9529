"""Single actions: the recorded one, the policy's, the arrow between them, and the past recorded actions.

The recorded actions are an expert's, or in a policy's own episode those that it executed; legends say which. The policy is
light on a dark halo, the recorded action dark on a light one: they differ without colour too, and where they coincide both
are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.path import Path

from dlrender.overlays.artists import (
    ArrowHandle,
    HaloArrow,
    HaloLines,
    OpenMark,
    line_handle,
    open_mark_handle,
    place,
)
from dlrender.overlays.base import Overlay, StepView
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array

# What legends call things, by `EpisodeCache.action_label`.
PAST = {"expert": "expert's past actions", "executed": "past executed actions"}
BETWEEN = {"expert": "policy to expert", "executed": "policy to executed"}
NOW = {"expert": "expert's action", "executed": "executed action"}
EXPERT = "#850014"  # dark red, dark enough for its white halo (see contrast)
MARKERS = tuple(str(each) for each in (*Line2D.filled_markers, "x", "+", "1", "2", "3", "4"))  # that have an outline
SHARES = (0.4, 0.55, 0.7, 0.85, 1.0)  # of its width, from the start of a trace to its end


@dataclass(frozen=True, kw_only=True)
class ExpertTrace(Overlay):
    """The expert's last `length` actions as a line that gets thinner into the past, and so keeps its contrast."""

    length: int = 20
    linewidth: float = 1.3
    edge: float = 1.3
    color: str = EXPERT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 1:
            self._refuse("length", self.length, "1 or more actions")

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        past = view.cache.expert_action[max(0, view.step - self.length) : view.step + 1].astype(float)
        if len(past) < 2:
            return []
        ends = np.unique(np.linspace(0, len(past) - 1, len(SHARES) + 1).round().astype(int))
        pieces = [Path(past[first : last + 1]) for first, last in pairwise(ends)]
        return [HaloLines(pieces, self.color, self.linewidth, self.edge, shares=SHARES[-len(pieces) :])]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle(PAST[cache.action_label], color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Arrow(Overlay):
    """An arrow from the policy's prediction to the expert's action; none where it would be shorter than its head.

    It leaves `gap` points to each of the two, so that it covers neither.
    """

    color: str = "#ffd60a"
    linewidth: float = 1.6
    edge: float = 1.6
    size: float = 9.0
    gap: float = 6.0

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        cache, step = view.cache, view.step
        start, end = cache.predicted_action[step].astype(float), cache.expert_action[step].astype(float)
        arrow = place(axes, HaloArrow(start, end, gaps=(self.gap, self.gap), **self._looks))
        return [arrow] if arrow.corners(axes.figure.dpi / 72) is not None else []

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [ArrowHandle(BETWEEN[cache.action_label], **self._looks)]

    @property
    def _looks(self) -> dict[str, Any]:
        return {"color": self.color, "linewidth": self.linewidth, "edge": self.edge, "size": self.size}


@dataclass(frozen=True, kw_only=True)
class Marker(Overlay):
    """The outline of a marker, with a halo, at an action."""

    marker: str = "o"
    size: float = 10.0
    linewidth: float = 1.3
    color: str = "white"
    edge: float = 1.3
    label: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.marker not in MARKERS:
            self._refuse("marker", self.marker, f"one of {' '.join(MARKERS)}")

    def where(self, view: StepView) -> Array:
        """(2,) px of the action."""
        raise NotImplementedError

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        return [OpenMark(self.where(view)[None], self.marker, self.size, self.color, self.linewidth, self.edge)]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [open_mark_handle(self.label, self.marker, self.size, self.color, self.linewidth, self.edge)]


@dataclass(frozen=True, kw_only=True)
class PolicyPrediction(Marker):
    """A hollow star at the policy's predicted action."""

    marker: str = "*"
    size: float = 15.0
    color: str = "white"
    label: str = "policy's prediction"

    def where(self, view: StepView) -> Array:
        action: Array = view.cache.predicted_action[view.step]
        return action


@dataclass(frozen=True, kw_only=True)
class ExpertAction(Marker):
    """A thin cross at the expert's action, or at the executed one; a `label` of a style's own stays."""

    marker: str = "x"
    size: float = 8.0
    color: str = EXPERT
    label: str = NOW["expert"]

    def where(self, view: StepView) -> Array:
        action: Array = view.cache.expert_action[view.step]
        return action

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        label = NOW[cache.action_label] if self.label == NOW["expert"] else self.label
        return [open_mark_handle(label, self.marker, self.size, self.color, self.linewidth, self.edge)]
