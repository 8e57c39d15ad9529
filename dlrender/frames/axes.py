"""A heatmap's surroundings as matplotlib draws them: axes, colour bar and legend, which frames and figures share.

Places are px from the upper left corner of a figure whose `size` is (width, height) px. What a style gives in px of a
panel 480 px high is scaled to the height at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from dlrender.colors import Norm, get_colormap
from dlrender.errors import RenderError
from dlrender.overlays import StepView
from dlrender.style.style import Style
from dlscore.cache.reader import EpisodeCache
from dlscore.common.world import WORLD_SIZE

HEIGHT = 480  # px of a panel for which sizes are given
SMALLEST = 0.6  # of its size that a legend's text may shrink to, so that all fits


def make_figure(width: float, height: float, dpi: float) -> Figure:
    """A figure of width × height px of a panel 480 px high, at `dpi` where 100 draws them one to one."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def square_of(style: Style, height: int = HEIGHT) -> tuple[int, int, int]:
    """Left, top and side of the axes in a heatmap panel, in whole px."""
    layout = style.layout
    left, top, side = (round(value * height / HEIGHT) for value in (layout.left, layout.top, layout.side))
    return left, top, side


def width_of(style: Style, height: int = HEIGHT) -> int:
    """Width of a heatmap panel, an even number of px."""
    return 2 * round(style.layout.width * height / HEIGHT / 2)


def add_axes(figure: Figure, size: tuple[float, float], x: float, y: float, width: float, height: float) -> Axes:
    """Axes at a place in px."""
    whole_width, whole_height = size
    return figure.add_axes(
        (x / whole_width, 1 - (y + height) / whole_height, width / whole_width, height / whole_height)
    )


def add_environment(figure: Figure, size: tuple[float, float], x: float, y: float, side: float) -> Axes:
    """Axes that an environment fills, in the same coordinates as a heatmap's: px, y down."""
    axes = add_axes(figure, size, x, y, side, side)
    axes.set(xlim=(0, WORLD_SIZE), ylim=(WORLD_SIZE, 0))
    axes.set_axis_off()
    return axes


def add_heatmap(
    figure: Figure,
    size: tuple[float, float],
    x: float,
    episode: EpisodeCache,
    method: str,
    norm: Norm | None,
    style: Style,
) -> Axes:
    """A heatmap panel as high as the figure, its left edge at `x`: axes, colour bar and legend, without the scores.

    norm: None for one of its own at each step.
    """
    layout, unit, (left, top, side) = style.layout, size[1] / HEIGHT, square_of(style, round(size[1]))
    axes = add_axes(figure, size, x + left, top, side, side)
    decorate(axes, style, layout.title.format(method=method, episode=episode.episode))
    if layout.colorbar:
        bar = add_axes(figure, size, x + left + side + layout.bar_gap * unit, top, layout.bar_width * unit, side)
        add_colorbar(figure, bar, style, norm, episode.score_attrs(method))
    if layout.legend:
        add_legend(
            figure, axes, handles_of(style, episode, method), style, x / size[0], (x + width_of(style) * unit) / size[0]
        )
    return axes


def decorate(axes: Axes, style: Style, title: str) -> None:
    """Limits, ticks, labels and title of a heatmap: px, y down."""
    layout, fonts = style.layout, style.fonts
    axes.set(xlim=(0, WORLD_SIZE), ylim=(WORLD_SIZE, 0), aspect="equal")
    if layout.axis_labels:
        axes.set_xlabel("x [px]", fontsize=fonts.labels, labelpad=1)
        axes.set_ylabel("y [px]", fontsize=fonts.labels, labelpad=4)
    ticks = [k * layout.ticks for k in range(int(WORLD_SIZE / layout.ticks) + 1)] if layout.ticks else []
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=fonts.ticks, length=3)
    axes.set_title(title, fontsize=fonts.title, pad=7)
    axes.grid(False)  # some sheets have one, over the scores


def add_colorbar(figure: Figure, where: Axes, style: Style, norm: Norm | None, attrs: dict[str, Any]) -> None:
    """The scale of the colours. With a norm of its own for each frame it tells of the distance from the frame's best."""
    nats = norm is None and str(attrs["units"]).startswith("nats") and style.vmin is style.vmax is style.center is None
    shown = norm or Norm(-style.range_nats if nats else -1.0, 0.0, cut=nats, gamma=style.gamma)
    mappable = ScalarMappable(shown.of_matplotlib(), get_colormap(style.colormap))
    pointed = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(mappable, cax=where, extend=pointed[shown.cut, shown.cut_above])
    units = str(attrs["units"]).replace("^2", "²")
    if nats:
        label = "nats from the frame's best"
    elif norm is None:
        bar.set_ticks([-1, 0], labels=["least", "most"])
        label = "score, scaled in each frame"
    elif norm.rank:
        label = "share of cells with a lower score"
    else:
        label = f"{'log density' if attrs['kind'] == 'log_density' else 'score'} [{units}]"
    bar.set_label(label, fontsize=style.fonts.labels)
    bar.ax.tick_params(labelsize=style.fonts.ticks, length=3)


def handles_of(style: Style, episode: EpisodeCache, method: str, scale: float = 1.0) -> list[Any]:
    """The legend's handles for all overlays that are drawn, wherever they are."""
    return [handle for overlay in style.drawn(scale=scale) for handle in overlay.legend(episode, method)]


def add_legend(figure: Figure, axes: Axes, handles: Sequence[Any], style: Style, left: float, right: float) -> None:
    """The overlays' legend at the bottom, between `left` and `right` of the figure's width, on gray so that white marks show.

    It takes as many rows as it needs, and smaller text where it would reach the axes' labels. RenderError if even then
    it does not fit.
    """
    if not handles:
        return
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    room = axes.xaxis.get_tightbbox(renderer) or axes.bbox
    largest = max((handle.get_markersize() for handle in handles if handle.get_marker() != "None"), default=1.0)
    for tenths in range(10, round(10 * SMALLEST) - 1, -1):
        fontsize = style.fonts.legend * tenths / 10
        for columns in range(len(handles), 0, -1):
            legend = figure.legend(
                handles=list(handles),
                loc="lower center",
                bbox_to_anchor=((left + right) / 2, 0),
                ncols=columns,
                fontsize=fontsize,
                markerscale=min(1.0, 1.5 * fontsize / largest),
                handlelength=1.4,
                handletextpad=0.6,
                columnspacing=0.9,
                labelspacing=0.2,
                borderpad=0.3,
                borderaxespad=0.15,
                labelcolor="black",
                frameon=True,
                numpoints=1,
                facecolor=style.layout.legend_color,
                framealpha=1.0,
                edgecolor="none",
            )
            legend.set_in_layout(False)
            box = legend.get_window_extent(renderer)
            if box.y1 >= room.y0:
                legend.remove()
                break  # fewer columns are higher still
            if box.width <= (right - left) * figure.bbox.width:
                return
            legend.remove()
    raise RenderError(
        f"a legend of {len(handles)} entries does not fit below a heatmap {style.layout.side:g} px wide; draw fewer overlays, "
        "lower layout.side or fonts.legend, or set layout.legend = false"
    )


def draw_scores(axes: Axes, view: StepView) -> None:
    """The scores as matplotlib's own image."""
    axes.imshow(view.norm.prepare(view.scores), cmap=get_colormap(view.colormap), norm=view.norm.of_matplotlib(),
                extent=(0, WORLD_SIZE, WORLD_SIZE, 0), interpolation="bilinear", origin="upper")  # fmt: skip


def draw_overlays(axes: Axes, view: StepView, style: Style, panel: str, scale: float = 1.0) -> None:
    """The overlays of a panel as artists that the axes keep."""
    for overlay in style.drawn(panel, scale):
        for artist in overlay.draw(axes, view):
            axes.add_artist(artist)
