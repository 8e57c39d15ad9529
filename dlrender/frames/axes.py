"""Axes of heatmaps and environments, with colour bars, for frames and figures alike.

Positions are px from the upper left corner of a figure of `size` (width, height) px. Sizes that a style gives for a
panel 480 px high are scaled to the height of the figure.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlrender.colors import Norm, get_colormap
from dlrender.overlays import Overlay, StepView
from dlrender.overlays.artists import place
from dlrender.overlays.contrast import on_ground
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache
from dlscore.common.world import WORLD_SIZE

HEIGHT = 480  # px of the panel that sizes refer to


def make_figure(width: float, height: float, dpi: float) -> Figure:
    """A figure of width × height px at 100 dpi, drawn at `dpi`."""
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
    """Axes at a position in px."""
    whole_width, whole_height = size
    return figure.add_axes(
        (x / whole_width, 1 - (y + height) / whole_height, width / whole_width, height / whole_height)
    )


def add_environment(figure: Figure, size: tuple[float, float], x: float, y: float, side: float) -> Axes:
    """Axes for an environment, in the coordinates of a heatmap: px, y down."""
    axes = add_axes(figure, size, x, y, side, side)
    axes.set(xlim=(0, WORLD_SIZE), ylim=(WORLD_SIZE, 0))
    axes.set_axis_off()
    return axes


def add_heatmap(
    figure: Figure,
    size: tuple[float, float],
    x: float,
    cache: EpisodeCache,
    method: str,
    norm: Norm | None,
    style: Style,
) -> Axes:
    """A heatmap panel as high as the figure, its left edge at `x`: axes and colour bar, without the scores.

    norm: None if each step has its own.
    """
    layout, unit, (left, top, side) = style.layout, size[1] / HEIGHT, square_of(style, round(size[1]))
    axes = add_axes(figure, size, x + left, top, side, side)
    decorate(axes, style, title_of(style, cache, method))
    if layout.colorbar:
        bar = add_axes(figure, size, x + left + side + layout.bar_gap * unit, top, layout.bar_width * unit, side)
        add_colorbar(figure, bar, style, norm, cache.score_attrs(method))
    return axes


def title_of(style: Style, cache: EpisodeCache, method: str) -> str:
    """The title of a heatmap."""
    quantity = quantity_of(method, cache.score_attrs(method))
    return style.layout.title.format(method=method, episode=cache.episode, quantity=quantity)


def set_world(axes: Axes) -> None:
    """The coordinates of the environment: px, y down, without a grid over the scores."""
    axes.set(xlim=(0, WORLD_SIZE), ylim=(WORLD_SIZE, 0), aspect="equal")
    axes.grid(False)


def decorate(axes: Axes, style: Style, title: str) -> None:
    """Limits, ticks, labels and title of a heatmap: px, y down."""
    layout, fonts = style.layout, style.fonts
    set_world(axes)
    if layout.axis_labels:
        axes.set_xlabel("x [px]", fontsize=fonts.labels, labelpad=1)
        axes.set_ylabel("y [px]", fontsize=fonts.labels, labelpad=4)
    axes.set_xticks(tick_positions(style))
    axes.set_yticks(tick_positions(style))
    axes.tick_params(labelsize=fonts.ticks, length=3)
    axes.set_title(title, fontsize=fonts.title, pad=7)


def tick_positions(style: Style) -> list[float]:
    """The ticks of both axes of a heatmap [px]."""
    distance = style.layout.ticks
    return [k * distance for k in range(int(WORLD_SIZE / distance) + 1)] if distance else []


def add_colorbar(figure: Figure, where: Axes, style: Style, norm: Norm | None, attrs: dict[str, Any]) -> None:
    """A colour bar. Without a norm, each frame has its own, and the bar shows the distance from the frame's best score."""
    nats = norm is None and str(attrs["units"]).startswith("nats") and style.vmin is style.vmax is style.center is None
    shown = norm or Norm(-style.range_nats if nats else -1.0, 0.0, cut=nats, gamma=style.gamma)
    mappable = ScalarMappable(shown.of_matplotlib(), get_colormap(style.colormap))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(mappable, cax=where, extend=extend[shown.cut, shown.cut_above])
    if shown.gamma == 1:
        bar.locator = MaxNLocator("auto", steps=[1, 2, 5, 10])  # no halves, which would need wider numbers
    if norm is None and not nats:
        bar.set_ticks([-1, 0], labels=["least", "most"])
    bar.set_label(_label_of(attrs, norm, nats), fontsize=style.fonts.labels)
    bar.ax.tick_params(labelsize=style.fonts.ticks, length=3)


def _label_of(attrs: dict[str, Any], norm: Norm | None, nats: bool) -> str:
    # Of a colour bar.
    what = "log density" if attrs["kind"] == "log_density" else "score"
    if nats:
        return f"{what}, from the frame's largest [nats]"
    if norm is None:
        return f"{what}, scaled in each frame"
    if norm.rank:
        return f"share of cells of lower {what}"
    return f"{what} per px² [nats]" if attrs["kind"] == "log_density" else f"{what} [{attrs['units']}]"


def quantity_of(method: str, attrs: dict[str, Any]) -> str:
    """What a method's scores are, as a title says it."""
    if attrs["kind"] != "log_density":
        return f"score {method}"
    whose = {"executed": "the executed action", "model": "the model's action"}.get(str(attrs.get("density")))
    return f"log density of {whose}" if whose else "log density"


def draw_scores(axes: Axes, view: StepView) -> None:
    """Add the scores to the axes, as an image of matplotlib."""
    axes.imshow(view.norm.prepare(view.scores), cmap=get_colormap(view.colormap), norm=view.norm.of_matplotlib(),
                extent=(0, WORLD_SIZE, WORLD_SIZE, 0), interpolation="bilinear", origin="upper", aspect="equal")  # fmt: skip


def draw_environment(axes: Axes, view: StepView) -> None:
    """Add the environment to the axes, as an image of matplotlib, on their ground."""
    frame = on_ground(view.cache.frame(view.step), axes.get_facecolor())
    axes.imshow(frame, extent=(0, WORLD_SIZE, WORLD_SIZE, 0), origin="upper", aspect="equal")


def draw_overlays(axes: Axes, view: StepView, style: Style, panel: str, scale: float = 1.0) -> list[Overlay]:
    """Add the overlays of a panel to the axes, as artists; those that draw something at this step."""
    drawn = []
    for overlay in style.drawn(panel, scale):
        made = overlay.draw(axes, view)
        for artist in made:
            axes.add_artist(place(axes, artist))
        drawn += [overlay] if made else []
    return drawn
