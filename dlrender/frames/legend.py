"""The legend of the overlays, below a heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from dlrender.errors import RenderError
from dlrender.overlays.artists import ArrowHandle, HandleArrow
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache

SMALLEST = 0.6  # of its size that the legend's text may shrink to
LOOKS: dict[str, Any] = {
    "handlelength": 1.4,
    "handletextpad": 0.6,
    "columnspacing": 0.9,
    "labelspacing": 0.2,
    "borderpad": 0.3,
    "borderaxespad": 0.15,
    "labelcolor": "black",
    "frameon": True,
    "numpoints": 1,
    "framealpha": 1.0,
    "edgecolor": "none",
}


def handles_of(style: Style, cache: EpisodeCache, method: str, scale: float = 1.0) -> list[Any]:
    """The legend's handles of all overlays that are drawn, on any panel."""
    return [handle for overlay in style.drawn(scale=scale) for handle in overlay.legend(cache, method)]


def add_legend(figure: Figure, axes: Axes, handles: Sequence[Any], style: Style, left: float, right: float) -> None:
    """A legend at the bottom, between `left` and `right` of the figure's width, on gray so that white markers show.

    It has as few rows as possible. Its text shrinks if it would reach the labels of the axes; RenderError if that is not
    enough.
    """
    if not handles:
        return
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    room = axes.xaxis.get_tightbbox(renderer) or axes.bbox
    for tenths in range(10, round(10 * SMALLEST) - 1, -1):
        for columns in range(len(handles), 0, -1):
            legend = _make_legend(figure, handles, style, (left + right) / 2, columns, style.fonts.legend * tenths / 10)
            box = legend.get_window_extent(renderer)
            fits_below = box.y1 < room.y0
            if fits_below and box.width <= (right - left) * figure.bbox.width:
                return
            legend.remove()
            if not fits_below:
                break  # fewer columns are higher still
    raise RenderError(
        f"a legend of {len(handles)} entries does not fit below a heatmap {style.layout.side:g} px wide; draw fewer overlays, "
        "lower layout.side or fonts.legend, or set layout.legend = false"
    )


def _make_legend(
    figure: Figure, handles: Sequence[Any], style: Style, centre: float, columns: int, fontsize: float
) -> Legend:
    largest = max((handle.get_markersize() for handle in handles if _has_marker(handle)), default=1.0)
    legend = figure.legend(
        handles=list(handles),
        loc="lower center",
        bbox_to_anchor=(centre, 0),
        ncols=columns,
        fontsize=fontsize,
        markerscale=min(1.0, 1.5 * fontsize / largest),
        facecolor=style.layout.legend_color,
        handler_map={ArrowHandle: HandleArrow()},
        **LOOKS,
    )
    legend.set_in_layout(False)
    return legend


def _has_marker(handle: Any) -> bool:
    # Overlays from outside may give handles that are no lines, such as patches.
    return hasattr(handle, "get_markersize") and handle.get_marker() != "None"
