"""The scores: contours of highest-density regions, and the landscape over the environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contourpy import LineType, contour_generator
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.path import Path

from dlrender.colors import color_indices, color_table
from dlrender.overlays.artists import HaloLines, line_handle
from dlrender.overlays.base import Overlay, StepView
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.regions import regions


@dataclass(frozen=True, kw_only=True)
class Contours(Overlay):
    """Highest-density regions: the smallest sets that contain `masses` of the whole probability, inside the grid and beyond.

    A region that the grid cannot hold has no contour. For a score that is no density: the best cells, a fraction `top` of
    the grid. The legend says which.
    """

    masses: tuple[float, ...] = (0.5, 0.8, 0.95)
    top: float = 0.1
    linewidth: float = 1.1
    edge: float = 1.2
    color: str = "white"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.masses or not all(0 < mass < 1 for mass in self.masses):
            self._refuse("masses", self.masses, "numbers between 0 and 1")
        if not 0 < self.top < 1:
            self._refuse("top", self.top, "a fraction of the cells between 0 and 1")

    def levels(self, scores: Array, cell_area: float | None) -> Array:
        """Ascending contour levels of scores (N, N), without those that the grid does not cross.

        cell_area: px², for log densities; None for other scores.
        """
        if cell_area is not None:
            levels = np.array([each.threshold for each in regions(scores, cell_area, self.masses)])
        else:
            levels = np.array([np.quantile(scores, 1 - self.top)])
        levels = np.unique(levels)
        crossed: Array = levels[(levels > scores.min()) & (levels < scores.max())]
        return crossed

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        # The generator behind Axes.contour, without its colour mapping and artists.
        x, y = np.moveaxis(view.cache.grid.actions, -1, 0)
        generator = contour_generator(x, y, view.scores.astype(np.float64), line_type=LineType.ChunkCombinedCode)
        paths = []
        for level in self.levels(view.scores, view.cache.grid.cell_area if view.is_density else None):
            points, codes = generator.lines(level)  # type: ignore[misc]  # of its one chunk
            if points[0] is not None:
                paths.append(Path(points[0], codes[0]))
        return [HaloLines(paths, self.color, self.linewidth, self.edge)] if paths else []

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        if cache.is_density(method):
            label = "/".join(f"{100 * mass:g}" for mass in self.masses) + " % of the mass"
            if max(self.masses) > cache.inside(method)[cache.done].min(initial=1):
                label += " (in part beyond the grid)"
        else:
            label = f"top {100 * self.top:g} % of the cells"
        return [line_handle(label, color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Landscape(Overlay):
    """The coloured scores over the environment. Opacity grows with the score, up to `strength`."""

    panel: str = "environment"
    strength: float = 0.75

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        side = int(WORLD_SIZE)
        indices = color_indices(view.scores, view.norm, side, side)
        table = color_table(view.colormap)
        rgba = np.empty((side, side, 4), dtype=np.uint8)
        rgba[..., :3] = table[indices]
        rgba[..., 3] = (255 * self.strength / (len(table) - 1) * indices).astype(np.uint8)
        image = AxesImage(axes, extent=(0, WORLD_SIZE, WORLD_SIZE, 0), origin="upper")
        image.set_data(rgba)
        return [image]
