"""What is drawn over the heatmap. An overlay is a frozen dataclass of its looks, and one line in OVERLAYS.

`draw` gives the matplotlib artists of one step, in px with y down; `legend` the handle that explains them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dlscore.cache import EpisodeCache

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Array = NDArray[Any]


class Overlay(Protocol):
    def draw(self, axes: Axes, episode: EpisodeCache, step: int, method: str) -> list[Artist]: ...

    def legend(self, episode: EpisodeCache, method: str) -> list[Artist]: ...


def halo(width: float, color: str = "black") -> list[Any]:
    """Path effects that set a line or text off from any ground: a stroke of `width` points under it."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width, foreground=color), Normal()]


@dataclass(frozen=True)
class Contours:
    """Highest-density regions of a density: the smallest sets that hold `masses` of the probability.

    For a score that is no density: the cells whose score is among the top `top` of the grid, and the legend says so.
    """

    masses: tuple[float, ...] = (0.5, 0.8, 0.95)
    top: float = 0.1
    linewidth: float = 1.1
    color: str = "white"

    def levels(self, scores: Array, kind: str) -> Array:
        """Ascending levels of the scores (N, N) at which to draw; none where the grid does not cross one."""
        if kind == "log_density":
            density = np.sort(np.exp(scores.astype(np.float64) - scores.max()), axis=None)[::-1]
            held = np.cumsum(density) / density.sum()
            index = np.searchsorted(held, self.masses).clip(max=len(density) - 1)
            levels = np.log(density[index]) + float(scores.max())
        else:
            levels = np.array([np.quantile(scores, 1 - self.top)])
        levels = np.unique(levels)
        crossed: Array = levels[(levels > scores.min()) & (levels < scores.max())]
        return crossed

    def draw(self, axes: Axes, episode: EpisodeCache, step: int, method: str) -> list[Artist]:
        scores = episode.score(method, step)
        levels = self.levels(scores, episode.score_attrs(method)["kind"])
        if not len(levels):
            return []
        from contourpy import LineType, contour_generator
        from matplotlib.collections import PathCollection
        from matplotlib.path import Path

        # matplotlib's own contour lines, without the colour mapping and the bookkeeping of Axes.contour.
        centres = episode.grid.centres
        found = contour_generator(centres, centres, scores.astype(np.float64), line_type=LineType.ChunkCombinedCode)
        paths = []
        for level in levels:
            points, codes = found.lines(level)  # type: ignore[misc]  # of the one chunk there is
            if points[0] is not None:
                paths.append(Path(points[0], codes[0]))

        def lines(color: str, width: float) -> Artist:
            drawn = PathCollection(paths, facecolors="none", edgecolors=color, linewidths=width, joinstyle="round")
            return _place(axes, drawn)

        return [lines("black", self.linewidth + 1.2), lines(self.color, self.linewidth)]

    def legend(self, episode: EpisodeCache, method: str) -> list[Artist]:
        from matplotlib.lines import Line2D

        if episode.score_attrs(method)["kind"] == "log_density":
            label = "/".join(f"{100 * mass:g}" for mass in self.masses) + " % of the mass"
        else:
            label = f"top {100 * self.top:g} % of the cells"
        return [Line2D([], [], color=self.color, linewidth=self.linewidth, path_effects=halo(self.linewidth + 1.2),
                       label=label)]  # fmt: skip


@dataclass(frozen=True)
class ExpertTrace:
    """The expert's last `length` actions as a line that fades into the past, over a dark line that sets it off."""

    length: int = 20
    linewidth: float = 1.6
    color: str = "#ff6b6b"

    def draw(self, axes: Axes, episode: EpisodeCache, step: int, method: str) -> list[Artist]:
        from matplotlib.collections import LineCollection

        past = episode.expert_action[max(0, step - self.length) : step + 1].astype(float)
        if len(past) < 2:
            return []
        segments = np.stack([past[:-1], past[1:]], axis=1)
        alpha = np.linspace(0.15, 1, len(segments))
        # A path effect would lay each segment's halo over the end of the one before.
        halo = LineCollection(list(segments), colors="black", linewidths=self.linewidth + 1.4, alpha=alpha)
        lines = LineCollection(list(segments), colors=self.color, linewidths=self.linewidth, alpha=alpha,
                               capstyle="round")  # fmt: skip
        return [_place(axes, halo), _place(axes, lines)]

    def legend(self, episode: EpisodeCache, method: str) -> list[Artist]:
        from matplotlib.lines import Line2D

        return [Line2D([], [], color=self.color, linewidth=self.linewidth, path_effects=halo(self.linewidth + 1.4),
                       label="expert's past actions")]  # fmt: skip


@dataclass(frozen=True)
class Arrow:
    """An arrow from the policy's prediction to the expert's action; none where they are closer than `shortest` px.

    It ends `gap` points early, so that the cross at the expert's action does not hide its head.
    """

    color: str = "#ffd60a"
    linewidth: float = 1.8
    shortest: float = 4.0
    gap: float = 6.0

    def draw(self, axes: Axes, episode: EpisodeCache, step: int, method: str) -> list[Artist]:
        from matplotlib.patches import FancyArrowPatch

        start, end = episode.predicted_action[step].astype(float), episode.expert_action[step].astype(float)
        if np.hypot(*(end - start)) < self.shortest:
            return []
        arrow = FancyArrowPatch(tuple(start), tuple(end), arrowstyle="-|>", mutation_scale=9, shrinkA=0,
                                shrinkB=self.gap, color=self.color, linewidth=self.linewidth)  # fmt: skip
        arrow.set_path_effects(halo(self.linewidth + 1.6))
        return [_place(axes, arrow)]

    def legend(self, episode: EpisodeCache, method: str) -> list[Artist]:
        from matplotlib.lines import Line2D

        return [Line2D([], [], color=self.color, linewidth=self.linewidth, marker=">", markersize=4,
                       path_effects=halo(self.linewidth + 1.6), label="policy to expert")]  # fmt: skip


@dataclass(frozen=True)
class _Marker:
    marker: str
    size: float
    color: str
    label: str
    edge: float = 1.1

    def _line(self, x: float | None, y: float | None) -> Artist:
        from matplotlib.lines import Line2D

        where: tuple[list[float], list[float]] = ([], []) if x is None or y is None else ([x], [y])
        return Line2D(*where, linestyle="none", marker=self.marker, markersize=self.size, markerfacecolor=self.color,
                      markeredgecolor="black", markeredgewidth=self.edge, label=self.label)  # fmt: skip

    def legend(self, episode: EpisodeCache, method: str) -> list[Artist]:
        return [self._line(None, None)]


@dataclass(frozen=True)
class PolicyPrediction(_Marker):
    """A white star at the policy's predicted action."""

    marker: str = "*"
    size: float = 13.0
    color: str = "white"
    label: str = "policy's prediction"

    def draw(self, axes: Axes, episode: EpisodeCache, step: int, method: str) -> list[Artist]:
        return [_place(axes, self._line(*map(float, episode.predicted_action[step])))]


@dataclass(frozen=True)
class ExpertAction(_Marker):
    """A red cross at the expert's action."""

    marker: str = "X"
    size: float = 10.0
    color: str = "red"
    label: str = "expert's action"

    def draw(self, axes: Axes, episode: EpisodeCache, step: int, method: str) -> list[Artist]:
        return [_place(axes, self._line(*map(float, episode.expert_action[step])))]


def _place(axes: Axes, artist: Artist) -> Artist:
    # In the axes' coordinates and clipped to them, without the axes keeping it.
    artist.set_figure(axes.figure)
    artist.axes = axes
    if not artist.is_transform_set():
        artist.set_transform(axes.transData)
    artist.set_clip_box(axes.bbox)
    return artist


# In the order in which they are drawn.
OVERLAYS: dict[str, type[Overlay]] = {
    "contours": Contours,
    "trace": ExpertTrace,
    "arrow": Arrow,
    "prediction": PolicyPrediction,
    "expert": ExpertAction,
}
