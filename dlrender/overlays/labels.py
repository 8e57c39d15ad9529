"""Words in a corner: which step it is, what the expert's action scores, and that a replay has left its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from dlrender.overlays.artists import place
from dlrender.overlays.base import Overlay, StepView
from dlrender.overlays.text_artist import CORNERS, Label
from dlscore.cache.drift import over_limit
from dlscore.common.arrays import Array
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
        """What is said at a view; "" for nothing."""
        raise NotImplementedError

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        text = self.text(view)
        return [place(axes, Label(text, self.corner, self.fontsize, self.color, self.alpha))] if text else []


@dataclass(frozen=True, kw_only=True)
class Counter(TextOverlay):
    """Which step it is; with `score`, also the score of the cell that the expert's action is in."""

    score: bool = True

    def text(self, view: StepView) -> str:
        shown = f"step {view.step}/{view.episode.steps - 1}"
        if self.score:
            value = score_at(view.episode.grid, view.scores, view.episode.expert_action[view.step])
            shown += f" · expert {value:.1f}".replace("-", "−")
        return shown


@dataclass(frozen=True, kw_only=True)
class Drift(TextOverlay):
    """A warning at each step where the replay is further from its record than it may be (`dlscore.drift`)."""

    corner: str = "lower left"
    color: str = "#ffb454"
    alpha: float = 0.75

    def text(self, view: StepView) -> str:
        episode = view.episode
        beyond = over_limit(dict(zip(episode.drift_parts, map(float, episode.drift[view.step]), strict=True)))
        return f"the replay is {beyond} off the record" if beyond else ""


def score_at(grid: Grid, scores: Array, action: Array) -> float:
    """The score of the cell that an action [px] is in; of the nearest cell for one on or beyond the edge."""
    column, row = np.clip(np.floor(action / grid.cell), 0, grid.resolution - 1).astype(int)
    return float(scores[row, column])
