"""The whole world in a corner of a window: where the window is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Transform

from dlrender.overlays.artists import HaloLines
from dlrender.overlays.base import Overlay, StepView
from dlrender.overlays.fills import Fills
from dlrender.overlays.text_artist import CORNERS, MARGIN
from dlrender.overlays.world import filled, things_of
from dlrender.window import WHOLE, Window
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE


@dataclass(frozen=True, kw_only=True)
class Inset(Overlay):
    """The world with goal, block, agent and the outline of the window, in a corner; none where the window is all of it.

    share: its side, relative to that of the panel. alpha: of its ground, on which the panel shows through.
    """

    corner: str = "lower left"
    share: float = 0.3
    linewidth: float = 0.8
    edge: float = 0.8
    color: str = "#202020"
    alpha: float = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.corner not in CORNERS:
            self._refuse("corner", self.corner, f"from {', '.join(CORNERS)}")
        if not 0.1 <= self.share <= 0.6:
            self._refuse("share", self.share, "0.1 to 0.6 of the panel")

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        if view.window.is_whole:
            return []
        frame = Path(_corners(WHOLE), closed=True)
        outline = Path(np.clip(_corners(view.window), 0.0, float(WORLD_SIZE)), closed=True)
        parts: list[Artist] = [
            Fills([frame], [axes.get_facecolor()], self.alpha),
            filled(things_of(view.cache.state[view.step]), axes),
            HaloLines([frame], self.color, self.linewidth, 0),
            HaloLines([outline], self.color, self.linewidth, self.edge),
        ]
        for part in parts:
            part.set_transform(self.to_axes(axes))
        return parts

    def to_axes(self, axes: Axes) -> Transform:
        """From px of the world to the canvas: into the corner, MARGIN points from both edges."""
        margin = MARGIN * axes.figure.dpi / 72 / axes.bbox.width
        left = 1 - margin - self.share if "right" in self.corner else margin
        top = 1 - margin if "upper" in self.corner else margin + self.share
        scale = self.share / WORLD_SIZE
        return Affine2D().scale(scale, -scale).translate(left, top) + axes.transAxes


def _corners(window: Window) -> Array:
    left, right, bottom, top = window.extent
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
