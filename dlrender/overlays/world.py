"""Outlines of the block and the agent, to relate the scores to the environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.path import Path

from dlrender.overlays.artists import HaloLines, line_handle
from dlrender.overlays.base import Overlay, StepView
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.world import AGENT_RADIUS, BLOCK_OUTLINE


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

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        corners = self.corners(view.cache.state[view.step])
        path = Path(np.vstack([corners, corners[:1]]), closed=True)
        return [HaloLines([path], self.color, self.linewidth, self.edge, self.alpha)]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle(self.label, color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Block(Outline):
    """The outline of the T block."""

    color: str = "#c9d3df"
    label: str = "block"

    def corners(self, state: Array) -> Array:
        x, y, angle = state[2:]
        c, s = np.cos(angle), np.sin(angle)
        turned: Array = BLOCK_OUTLINE @ np.array([[c, s], [-s, c]]) + (x, y)
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
