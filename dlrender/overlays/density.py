"""The scores: highest-density regions as outlines or as bands, and the landscape over the environment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from contourpy import FillType, LineType, SerialContourGenerator, ZInterp
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from dlrender.overlays.artists import HaloLines, line_handle
from dlrender.overlays.base import Overlay, StepView
from dlrender.overlays.fills import Fills
from dlrender.window import WHOLE
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.density.level_sets import outlines_of_cells
from dlscore.density.raster import Raster


@dataclass(frozen=True, kw_only=True)
class Sets(Overlay):
    """Highest-density regions: the smallest sets that hold `masses` of the whole probability, inside the grid and beyond.

    They come from the density itself where the cache has it, whatever the window and its resolution. A region that the grid
    alone would have to hold, and cannot, is left out. For a score that is no density: the best cells, a fraction `top` of
    the grid. The legend says which.
    """

    masses: tuple[float, ...] = (0.5, 0.8, 0.95)
    top: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.masses or not all(0 < mass < 1 for mass in self.masses):
            self._refuse("masses", self.masses, "numbers between 0 and 1")
        if not 0 < self.top < 1:
            self._refuse("top", self.top, "a fraction of the cells between 0 and 1")

    def levels(self, view: StepView) -> tuple[Raster, list[tuple[int, float]]]:
        """A lattice of values, and for each region that there is its place in `masses` and its threshold: largest first."""
        if view.is_density:
            sets = view.level_sets(self.masses)
            raster, thresholds = sets.raster, sets.thresholds
        else:
            thresholds = np.quantile(view.scores, [1 - self.top])
            raster = outlines_of_cells(view.scores, thresholds)
        low, high = raster.values.min(), raster.values.max()
        there = [k for k, threshold in enumerate(thresholds) if low < threshold < high]
        return raster, sorted(((k, float(thresholds[k])) for k in there), key=lambda each: each[1])

    def labels(self, cache: EpisodeCache, method: str) -> list[str]:
        """What each region holds, as the legend says it."""
        if not cache.is_density(method):
            return [f"top {100 * self.top:g} % of the cells"]
        return [f"{100 * mass:g}" for mass in self.masses]

    def beyond(self, cache: EpisodeCache, method: str) -> str:
        """What the legend adds if the grid cannot hold a region, and nothing else is there to tell where it is."""
        inside = cache.inside(method)[cache.done].min(initial=1)
        return " (in part beyond the grid)" if not cache.has_mixture(method) and max(self.masses) > inside else ""


@dataclass(frozen=True, kw_only=True)
class Contours(Sets):
    """Outlines of highest-density regions, the thicker the smaller the region."""

    linewidth: float = 1.1
    edge: float = 1.2
    color: str = "white"

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        raster, levels = self.levels(view)
        generator = _generator(raster)
        paths, shares = [], []
        for k, threshold in levels:
            points, codes = generator.lines(threshold)  # of its one chunk
            if points[0] is not None:
                paths.append(Path(points[0], codes[0]))
                shares.append(self.share(k))
        lines = HaloLines(paths, self.color, self.linewidth, self.edge, shares=shares, join="bevel")
        _clip(lines, axes, raster.box)
        return [lines] if paths else []

    def share(self, k: int) -> float:
        """The width of the outline of masses[k], as a share of `linewidth`."""
        place = sorted(self.masses).index(self.masses[k]) if k < len(self.masses) else 0
        return 1 - 0.5 * place / max(1, len(self.masses) - 1)

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        label = ", ".join(self.labels(cache, method))
        if cache.is_density(method):
            label += f" % of the mass{self.beyond(cache, method)}"
        return [line_handle(label, color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Regions(Sets):
    """Highest-density regions as filled bands, the darker the smaller the region."""

    color: str = "#08519c"
    alpha: float = 0.75

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        raster, levels = self.levels(view)
        generator = _generator(raster)
        box = None if raster.box is None else Bbox(raster.box)
        bands, colors = [], []
        above = [*(threshold for _, threshold in levels), np.inf][1:]
        for (k, threshold), upper in zip(levels, above, strict=True):
            points, codes = generator.filled(threshold, upper)
            for path in _paths(points, codes, box):
                bands.append(path)
                colors.append(self.tint(k))
        return [Fills(bands, colors, self.alpha)] if bands else []

    def tint(self, k: int) -> tuple[float, float, float]:
        """The colour of the band of masses[k]: the smaller the region, the less white is in it."""
        place = sorted(self.masses).index(self.masses[k]) if k < len(self.masses) else 0
        white = 0.72 * place / max(1, len(self.masses) - 1)
        red, green, blue = (white + (1 - white) * part for part in to_rgb(self.color))
        return red, green, blue

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        labels = self.labels(cache, method)
        if cache.is_density(method):
            labels = [f"{each} %" for each in labels]
            labels[-1] += f" of the mass{self.beyond(cache, method)}"
        return [
            Patch(facecolor=self.tint(k), edgecolor="none", alpha=self.alpha, label=label)
            for k, label in enumerate(labels)
        ]


def _generator(raster: Raster) -> Any:
    # The generator behind Axes.contour, without its colour mapping and artists, and without a search for what is masked.
    height, width = raster.values.shape
    x, y = (raster.start[k] + raster.pixel * np.arange(n) for k, n in ((0, width), (1, height)))
    looks = {"line_type": LineType.ChunkCombinedCode, "fill_type": FillType.ChunkCombinedCode, "corner_mask": False,
             "quad_as_tri": False, "z_interp": ZInterp.Linear}  # fmt: skip
    kind: Any = SerialContourGenerator  # whose types are told wrong
    return kind(*np.meshgrid(x, y), raster.values, None, **looks)


def _paths(points: Sequence[Array | None], codes: Sequence[Array | None], box: Bbox | None) -> Iterator[Path]:
    # What is filled, of the one chunk, cut off at a box.
    if points[0] is None:
        return
    path, corners = Path(points[0], codes[0]), points[0]
    if box is None or (box.contains(*corners.min(axis=0)) and box.contains(*corners.max(axis=0))):
        yield path
    else:
        yield path.clip_to_bbox(box)


def _clip(lines: HaloLines, axes: Axes, box: Array | None) -> None:
    # An outline ends where the density does.
    if box is None or not lines.paths:
        return
    points = np.concatenate([np.asarray(path.vertices) for path in lines.paths])
    if (points < box[0]).any() or (points > box[1]).any():
        (left, top), (right, bottom) = box
        lines.set_clip_path(
            Path([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]), axes.transData
        )


@dataclass(frozen=True, kw_only=True)
class Landscape(Overlay):
    """The coloured scores over the environment: opaque up to `strength` where the density is highest."""

    panel: str = "environment"
    strength: float = 0.75

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        whole, side = replace(view, window=WHOLE), int(WORLD_SIZE)
        shades = whole.shades(over=True)
        rgba = shades.image(whole.values(side))
        rgba[..., 3] = (rgba[..., 3] * self.strength).astype(np.uint8)
        image = AxesImage(axes, extent=WHOLE.extent, origin="upper")
        image.set_data(rgba)
        return [image]
