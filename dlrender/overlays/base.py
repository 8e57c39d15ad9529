"""The base of all overlays: fields that are checked, artists for one step, handles for the legend.

Artists use px of the environment, y down. The same artists serve the frames of a video and the vectors of a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cbook import is_math_text
from matplotlib.colors import is_color_like, to_rgba
from matplotlib.mathtext import MathTextParser
from pyparsing import ParseBaseException

from dlrender.colors import Norm
from dlrender.errors import RenderError
from dlrender.shading import FADE, Shades, make_shades, sample
from dlrender.window import WHOLE, Window
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.density.level_sets import LevelSets, grid_level_sets, level_sets
from dlscore.density.mixture import Mixture
from dlscore.density.raster import Raster, rasterise

LEAST_DEPTH = 8.0  # nats below the peak to which a raster is right
PANELS = ("heatmap", "environment", "both")


@dataclass(frozen=True, eq=False)
class StepView:
    """One step of one method: its open cache, its scores (N, N), the norm and colormap that show them, and the window.

    step: the row of the cache; `number` is the step of the episode, which differs where not every step was scored.
    """

    cache: EpisodeCache
    step: int
    method: str
    scores: Array
    norm: Norm
    colormap: str
    window: Window = WHOLE

    @property
    def number(self) -> int:
        """Index of the step in its episode."""
        return self.step * self.cache.every

    @property
    def is_density(self) -> bool:
        """Whether the scores are log densities."""
        return self.cache.is_density(self.method)

    @cached_property
    def mixture(self) -> Mixture | None:
        """The density itself; None where the cache has only the scores of the grid's cells."""
        return self.cache.mixture(self.method, self.step) if self.cache.has_mixture(self.method) else None

    @cached_property
    def lowest(self) -> float | None:
        """The lowest log density that is drawn whole [nats / px²]; below, it fades. None for other scores, and for ranks."""
        if not self.is_density or self.norm.rank:
            return None
        if self.norm.chosen:
            return self.norm.low
        peak = float(self.scores.max()) if self.mixture is None else self.mixture.near_peak
        return peak - self.norm.depth

    @cached_property
    def _rasters(self) -> dict[int, Raster]:
        return {}

    def raster(self, pixels: int) -> Raster | None:
        """The mixture's log density over the window, `pixels` a side; None without a mixture."""
        if self.mixture is None:
            return None
        if pixels not in self._rasters:
            corner = (self.window.left, self.window.top)
            shown = 0.0 if self.lowest is None else self.mixture.near_peak - self.lowest
            depth = max(LEAST_DEPTH, shown + FADE + 2)
            self._rasters[pixels] = rasterise(self.mixture, corner, self.window.side, pixels, depth)
        return self._rasters[pixels]

    def values(self, pixels: int) -> Array:
        """(P, P) float32 what the norm has prepared for colours, at the pixels of the window."""
        raster = None if self.norm.rank else self.raster(pixels)
        if raster is not None:
            return raster.log_density()
        floor = None if self.lowest is None else self.lowest - FADE - 1
        return sample(self.norm.prepare(self.scores) if floor is None else self.scores, self.window, pixels, floor)

    def shades(self, over: bool) -> Shades:
        """The colours of these values. over: those that fade are clear."""
        return make_shades(self.norm, self.colormap, self.lowest, over)

    def level_sets(self, masses: tuple[float, ...]) -> LevelSets:
        """The regions of a density that hold `masses` of it; computed once for all that draw them."""
        found = self._level_sets.get(masses)
        if found is None:
            if self.mixture is None:
                found = grid_level_sets(self.scores, masses)
            else:
                finest = max(self._rasters, default=None)
                found = level_sets(self.mixture, masses, None if finest is None else self._rasters[finest])
            self._level_sets[masses] = found
        return found

    @cached_property
    def _level_sets(self) -> dict[tuple[float, ...], LevelSets]:
        return {}


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Base of all overlays. A subclass is a frozen dataclass whose fields have defaults; it implements `draw`.

    `panel` says where the overlay is drawn: "heatmap", "environment" or "both". Lengths are points of a panel 480 px
    high unless a field says px. Values that cannot be drawn raise RenderError.
    """

    # Fields in points, which shrink with the panels of a sheet.
    LENGTHS: ClassVar[tuple[str, ...]] = ("linewidth", "edge", "size", "gap", "fontsize")

    # Whether it lies under the colours of a heatmap.
    UNDER: ClassVar[bool] = False

    panel: str = "heatmap"

    def __post_init__(self) -> None:
        check_choice("panel", self.panel, PANELS, RenderError)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "color" and not (is_color_like(value) and to_rgba(value)[3] == 1):
                self._refuse("color", value, "an opaque colour of matplotlib, such as red or #ff6b6b")
            if field.name in ("alpha", "strength") and not 0 <= value <= 1:
                self._refuse(field.name, value, "0 to 1")
            if field.name in self.LENGTHS and not 0 <= value <= 100:
                self._refuse(field.name, value, "0 to 100 points")
            if field.name in ("size", "fontsize") and value == 0:
                self._refuse(field.name, value, "more than 0 points")
            if field.name == "label" and not is_text(value):
                self._refuse("label", value, "a text whose $…$ is mathtext")

    def _refuse(self, name: str, value: object, allowed: str) -> None:
        raise RenderError(f"{name} {value} is not allowed; choose {allowed}")

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        """The artists of one step, which the caller draws: in px of the environment unless they have a transform.

        Any artist of matplotlib will do. Do not add it to `axes`, which serve many steps. It depends on the view alone:
        several processes may draw the steps of an episode.
        """
        raise NotImplementedError

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        """The legend's handles; empty for an overlay that explains itself."""
        return ()


def is_text(text: str) -> bool:
    """Whether matplotlib can draw a text: anything between two $ must be mathtext."""
    try:
        MathTextParser("agg").parse(text) if is_math_text(text) else None
    except (ValueError, ParseBaseException):
        return False
    return True
