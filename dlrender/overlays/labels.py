"""Text in a corner: the step, the score of the expert's action, and warnings: of drift, and of mass beyond the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from dlrender.overlays.base import Overlay, StepView
from dlrender.overlays.text_artist import BETWEEN, CORNERS, Label
from dlscore.cache import drift_label
from dlscore.common.arrays import Array
from dlscore.density.regions import mass_inside
from dlscore.grid import Grid


@dataclass(frozen=True, kw_only=True)
class TextOverlay(Overlay):
    """A line of text in a corner of the panel."""

    corner: str = "upper right"
    fontsize: float = 8.5
    color: str = "white"
    alpha: float = 0.55

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.corner not in CORNERS:
            self._refuse("corner", self.corner, f"from {', '.join(CORNERS)}")

    def text(self, view: StepView) -> str:
        """The text of one step; "" draws nothing."""
        raise NotImplementedError

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        text = self.text(view)
        return [Label(text, self.corner, self.fontsize, self.color, self.alpha)] if text else []


@dataclass(frozen=True, kw_only=True)
class Counter(TextOverlay):
    """With `step` the step; with `score` the score of the cell that contains the expert's action, or the executed one."""

    step: bool = True
    score: bool = True

    def text(self, view: StepView) -> str:
        spanned, parts = view.cache.steps * view.cache.every, []
        if self.step:
            parts.append(f"step {view.number} of {min(spanned, view.cache.attrs.get('episode_length', spanned))}")
        if self.score:
            value = score_at(view.cache.grid, view.scores, view.cache.expert_action[view.step])
            units = str(view.cache.score_attrs(view.method)["units"]).partition(" / ")[0]  # of a logarithm: nats
            parts.append(f"{view.cache.action_label}: {value:.1f} {units}".replace("-", "−"))
        return BETWEEN.join(parts)


@dataclass(frozen=True, kw_only=True)
class Drift(TextOverlay):
    """A warning at each step where the drift of the replay is over its limit."""

    corner: str = "lower left"
    color: str = "#ffb454"
    alpha: float = 0.75

    def text(self, view: StepView) -> str:
        parts, drift = view.cache.drift_parts, map(float, view.cache.drift[view.step])
        return drift_label(dict(zip(parts, drift, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Inside(TextOverlay):
    """A warning at each step where less than `least` of the probability is inside the grid."""

    corner: str = "upper left"
    color: str = "#ffb454"
    alpha: float = 0.75
    least: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.least <= 1:
            self._refuse("least", self.least, "0 to 1")

    def text(self, view: StepView) -> str:
        if not view.is_density:
            return ""
        inside = mass_inside(view.scores, view.cache.grid.cell_area)
        return f"{100 * inside:.0f} % of the mass inside" if inside < self.least else ""


def score_at(grid: Grid, scores: Array, action: Array) -> float:
    """The score of the cell that contains an action [px], or of the nearest cell if the action is outside the grid."""
    column, row = np.clip(np.floor(action / grid.cell), 0, grid.resolution - 1).astype(int)
    return float(scores[row, column])
