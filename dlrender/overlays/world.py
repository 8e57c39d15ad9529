"""The environment's bodies as outlines, so that a landscape is seen with what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.path import Path

from dlrender.overlays.base import Array, Moment, Outlined, Overlay, line_handle, place
from dlscore.cache import EpisodeCache

# gym-pusht's T [px] at angle 0, about the position of its body, and the radius of its agent.
TEE = np.array([(-60, 0), (60, 0), (60, 30), (15, 30), (15, 120), (-15, 120), (-15, 30), (-60, 30)], dtype=float)
AGENT_RADIUS = 15.0


@dataclass(frozen=True, kw_only=True)
class Outline(Overlay):
    """A closed outline."""

    linewidth: float = 1.2
    color: str = "white"
    edge: float = 1.2
    alpha: float = 0.9
    label: str = ""

    def corners(self, state: Array) -> Array:
        """(K, 2) px of the outline in a state (5,)."""
        raise NotImplementedError

    def draw(self, axes: Axes, moment: Moment) -> Sequence[Artist]:
        corners = self.corners(moment.episode.state[moment.step])
        path = Path(np.vstack([corners, corners[:1]]), closed=True)
        return [place(axes, Outlined([path], self.color, self.linewidth, self.edge, self.alpha))]

    def legend(self, episode: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle(self.label, color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Block(Outline):
    """The outline of the T block."""

    color: str = "#c9d3df"
    label: str = "block"

    def corners(self, state: Array) -> Array:
        x, y, angle = state[2:]
        c, s = np.cos(angle), np.sin(angle)
        turned: Array = TEE @ np.array([[c, s], [-s, c]]) + (x, y)
        return turned


@dataclass(frozen=True, kw_only=True)
class Agent(Outline):
    """The outline of the agent's disc."""

    color: str = "#8fb0ff"
    label: str = "agent"

    def corners(self, state: Array) -> Array:
        turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        ring: Array = state[:2] + AGENT_RADIUS * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return ring
