"""The base of all overlays: fields that are checked, artists for one step, handles for the legend.

Artists use px of the environment, y down. The same artists serve the frames of a video and the vectors of a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cbook import is_math_text
from matplotlib.colors import is_color_like, to_rgba
from matplotlib.mathtext import MathTextParser
from pyparsing import ParseBaseException

from dlrender.colors import Norm
from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice

PANELS = ("heatmap", "environment", "both")


@dataclass(frozen=True)
class StepView:
    """One step of one method: its open cache, its scores (N, N), and the norm and colormap that show them."""

    cache: EpisodeCache
    step: int
    method: str
    scores: Array
    norm: Norm
    colormap: str

    @property
    def is_density(self) -> bool:
        """Whether the scores are log densities."""
        return self.cache.is_density(self.method)


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Base of all overlays. A subclass is a frozen dataclass whose fields have defaults; it implements `draw`.

    `panel` says where the overlay is drawn: "heatmap", "environment" or "both". Lengths are points of a panel 480 px
    high unless a field says px. Values that cannot be drawn raise RenderError.
    """

    # Fields in points, which shrink with the panels of a sheet.
    LENGTHS: ClassVar[tuple[str, ...]] = ("linewidth", "edge", "size", "gap", "fontsize")

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

        Any artist of matplotlib will do. Do not add it to `axes`, which serve many steps.
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
