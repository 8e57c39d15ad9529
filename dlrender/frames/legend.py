"""The legend of the overlays, below the heatmaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from dlrender.errors import RenderError
from dlrender.overlays import Overlay
from dlrender.overlays.artists import ArrowHandle, HandleArrow
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache

SMALLEST = 0.6  # of its size that the legend's text may shrink to
ROOM = 4.0  # px of a panel 480 px high that stay free around the legend
LOOKS: dict[str, Any] = {
    "handlelength": 1.6,
    "handletextpad": 0.5,
    "columnspacing": 1.2,
    "labelspacing": 0.3,
    "borderpad": 0.0,
    "borderaxespad": 0.0,
    "frameon": False,
    "numpoints": 1,
}


def handles_of(overlays: Iterable[Overlay], cache: EpisodeCache, methods: Sequence[str]) -> list[Any]:
    """The legend's handles of overlays over the scores of some methods, each label once."""
    handles = [handle for each in overlays for method in methods for handle in each.legend(cache, method)]
    by_label = {handle.get_label(): handle for handle in handles}
    return list(by_label.values())


def add_legend(
    figure: Figure, axes: Axes, handles: Sequence[Any], style: Style, left: float, right: float, unit: float = 1.0
) -> None:
    """A legend below the axes, between `left` and `right` of the figure's width. unit: px of its canvas for a px of ROOM.

    It has as few rows as possible. Its text shrinks if it would reach the labels of the axes; RenderError if that is not
    enough.
    """
    if not handles:
        return
    renderer, free = figure.canvas.get_renderer(), ROOM * unit  # type: ignore[attr-defined]
    room = axes.xaxis.get_tightbbox(renderer) or axes.bbox
    place = (left + right) / 2, free / figure.bbox.height
    for tenths in range(10, round(10 * SMALLEST) - 1, -1):
        for columns in _columns(len(handles)):
            legend = _make_legend(figure, handles, place, columns, style.fonts.legend * tenths / 10)
            box = legend.get_window_extent(renderer)
            fits_below = box.y1 + free <= room.y0
            if fits_below and box.width + 2 * free <= (right - left) * figure.bbox.width:
                return
            legend.remove()
            if not fits_below:
                break  # fewer columns are higher still
    raise RenderError(
        f"a legend of {len(handles)} entries does not fit below a heatmap {style.layout.side:g} px wide; draw fewer overlays, "
        "lower layout.side or fonts.legend, or set layout.legend = false"
    )


def legend_below(figure: Figure, handles: Sequence[Any], fontsize: float) -> float:
    """A legend at the bottom of a figure, in as few rows as fit its width; its height with what stays free around it [in]."""
    if not handles:
        return 0.0
    free, width, height = ROOM / 100 * figure.dpi, figure.bbox.width, figure.bbox.height
    for columns in _columns(len(handles)):
        legend = _make_legend(figure, handles, (0.5, free / height), columns, fontsize)
        box = legend.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        if box.width + 2 * free <= width or columns == 1:
            break
        legend.remove()
    return float(box.height + 2 * free) / figure.dpi


def _columns(entries: int) -> list[int]:
    # For one row, two, and so on: as even as they can be, which is narrowest too.
    return sorted({-(-entries // rows) for rows in range(1, entries + 1)}, reverse=True)


def _make_legend(
    figure: Figure, handles: Sequence[Any], place: tuple[float, float], columns: int, fontsize: float
) -> Legend:
    largest = max((handle.get_markersize() for handle in handles if _has_marker(handle)), default=1.0)
    legend = figure.legend(
        handles=list(handles),
        loc="lower center",
        bbox_to_anchor=place,
        ncols=columns,
        fontsize=fontsize,
        markerscale=min(1.0, 1.7 * fontsize / largest),
        handler_map={ArrowHandle: HandleArrow()},
        **LOOKS,
    )
    legend.set_in_layout(False)
    return legend


def _has_marker(handle: Any) -> bool:
    # Overlays from outside may give handles that are no lines, such as patches.
    return hasattr(handle, "get_markersize") and handle.get_marker() != "None"
