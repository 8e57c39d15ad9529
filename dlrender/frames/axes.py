"""Axes of heatmaps and environments, with colour bars, for frames and figures alike.

Positions are px from the upper left corner of a figure of `size` (width, height) px. Sizes that a style gives for a
panel 480 px high are scaled to the height of the figure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from dlrender.colors import Norm, get_colormap, resolved_nats
from dlrender.overlays import Overlay, StepView
from dlrender.overlays.artists import HaloLines, place
from dlrender.overlays.contrast import halo_color
from dlrender.overlays.world import Environment
from dlrender.style.style import Style
from dlrender.window import WHOLE, Window, nice
from dlscore.cache import EpisodeCache, density_name
from dlscore.common.world import WORLD_SIZE

HEIGHT = 480  # px of the panel that sizes refer to
BESIDE = 12.0  # px left and right of an environment beside heatmaps
MARKS = {"white": "#202020", "black": "#e8e8e8"}  # the outline of a window in the environment, by its halo
PIXELS = (16, 2400)  # a side of the image of scores in a figure


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


def environment_square(style: Style, height: int = HEIGHT) -> tuple[int, int, int]:
    """Left, top and side of an environment beside heatmaps, in whole px: as large as theirs, row by row."""
    _, top, side = square_of(style, height)
    return round(BESIDE * height / HEIGHT), top, side


def environment_width(style: Style, height: int = HEIGHT) -> int:
    """Width of an environment beside heatmaps, an even number of px."""
    left, _, side = environment_square(style, height)
    return 2 * ((2 * left + side + 1) // 2)


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
    window: Window | None = WHOLE,
) -> Axes:
    """A heatmap panel as high as the figure, its left edge at `x`: axes and colour bar, without the scores.

    norm: None if each step has its own. window: None if it moves, so that there are no ticks.
    """
    layout, unit, (left, top, side) = style.layout, size[1] / HEIGHT, square_of(style, round(size[1]))
    axes = add_axes(figure, size, x + left, top, side, side)
    decorate(axes, style, title_of(style, cache, method), window)
    if style.bar:
        bar = add_axes(figure, size, x + left + side + layout.bar_gap * unit, top, layout.bar_width * unit, side)
        add_colorbar(figure, bar, style, norm, cache, method)
    return axes


def title_of(style: Style, cache: EpisodeCache, method: str) -> str:
    """The title of a heatmap."""
    quantity = quantity_of(cache, method)
    return style.layout.title.format(method=method, episode=cache.episode, quantity=quantity)


def set_window(axes: Axes, window: Window) -> None:
    """The limits of a window: px, y down."""
    left, right, bottom, top = window.extent
    axes.set(xlim=(left, right), ylim=(bottom, top))


def set_world(axes: Axes, window: Window = WHOLE) -> None:
    """The coordinates of the environment: px, y down, without a grid over the scores."""
    set_window(axes, window)
    axes.set_aspect("equal")
    axes.grid(False)


def decorate(axes: Axes, style: Style, title: str, window: Window | None = WHOLE) -> None:
    """Limits, ticks, labels and title of a heatmap: px, y down. window: None if it moves."""
    layout, fonts = style.layout, style.fonts
    set_world(axes, window or WHOLE)
    if layout.axis_labels and window is not None:
        axes.set_xlabel("x [px]", fontsize=fonts.labels, labelpad=1)
        axes.set_ylabel("y [px]", fontsize=fonts.labels, labelpad=4)
    set_ticks(axes, style, window)
    axes.tick_params(labelsize=fonts.ticks, length=3)
    axes.set_title(title, fontsize=fonts.title, pad=7)


def set_ticks(axes: Axes, style: Style, window: Window | None) -> None:
    """The ticks of both axes of a heatmap; none in a window that moves."""
    x, y = ([], []) if window is None else tick_positions(style, window)
    axes.set_xticks(x)
    axes.set_yticks(y)


def tick_positions(style: Style, window: Window = WHOLE) -> tuple[list[float], list[float]]:
    """The ticks of both axes of a heatmap [px]; in a window at round numbers, about as many as in the world, but two or more."""
    distance = style.layout.ticks
    if not distance:
        return [], []
    if not window.is_whole:
        distance = nice(distance * window.side / WORLD_SIZE)
        while distance > window.side / 2:  # one number alone says nothing of the scale
            distance = nice(distance / 2.2)
    return _multiples(distance, window.left, window.side), _multiples(distance, window.top, window.side)


def _multiples(distance: float, start: float, side: float) -> list[float]:
    first, last = int(np.ceil(start / distance)), int((start + side) // distance)
    return [k * distance for k in range(first, last + 1)]


def add_colorbar(
    figure: Figure, where: Axes, style: Style, norm: Norm | None, cache: EpisodeCache, method: str
) -> None:
    """A colour bar. Without a norm, each frame has its own, and the bar shows the distance from the frame's best score."""
    attrs = cache.score_attrs(method)
    nats = norm is None and str(attrs["units"]).startswith("nats") and style.vmin is style.vmax is style.center is None
    depth = (style.range_nats or resolved_nats(cache, method)) if nats else 1.0
    shown = norm or Norm(-depth, 0.0, cut=nats, gamma=style.gamma)
    mappable = ScalarMappable(shown.of_matplotlib(), get_colormap(style.colormap))
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(mappable, cax=where, extend=extend[shown.cut, shown.cut_above])
    if shown.gamma == 1:
        bar.locator = MaxNLocator(
            "auto", steps=[1, 2, 5, 10], min_n_ticks=3
        )  # no halves, which would need wider numbers
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


def quantity_of(cache: EpisodeCache, method: str) -> str:
    """What a method's scores are, as a title says it."""
    if not cache.is_density(method):
        return f"score {method}"
    whose = density_name(cache, method)
    return "log density" if whose == "action" else f"log density of the {whose}"


def draw_scores(axes: Axes, view: StepView, style: Style, scale: float = 1.0) -> None:
    """Add the scores to the axes as an image of matplotlib, over what the style draws under them."""
    for overlay in style.drawn("heatmap", scale):
        if overlay.UNDER and style.heat != "opaque":
            for artist in overlay.draw(axes, view):
                axes.add_artist(place(axes, artist))
    if style.heat == "off":
        return
    box = axes.get_window_extent()
    pixels = int(np.clip(round(max(box.width, box.height)), *PIXELS))
    image = view.shades(style.heat == "over").image(view.values(pixels))
    axes.imshow(image, cmap=get_colormap(view.colormap), norm=view.norm.of_matplotlib(), extent=view.window.extent,
                interpolation="nearest", origin="upper", aspect="equal")  # fmt: skip


def mark_window(axes: Axes, view: StepView) -> Artist:
    """The outline of a view's window, in axes of the environment; of what is beyond the world, along its edge."""
    left, right, bottom, top = np.clip(view.window.extent, 1.0, WORLD_SIZE - 1.0)
    corners = Path([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], closed=True)
    color = MARKS["black" if halo_color(axes.get_facecolor()) == "white" else "white"]
    return place(axes, HaloLines([corners], color, 1.0, 1.2))


def draw_environment(axes: Axes, view: StepView) -> None:
    """Add the environment to the axes, on their ground: its picture, or in pdf and svg its shapes."""
    axes.set_aspect("equal")
    axes.add_image(place(axes, Environment(axes, view)))


def draw_overlays(axes: Axes, view: StepView, style: Style, panel: str, scale: float = 1.0) -> list[Overlay]:
    """Add the overlays of a panel to the axes, as artists; those that draw something at this step."""
    drawn = []
    for overlay in style.drawn(panel, scale):
        if overlay.UNDER and panel == "heatmap":
            continue  # it is under the scores
        made = overlay.draw(axes, view)
        for artist in made:
            axes.add_artist(place(axes, artist))
        drawn += [overlay] if made else []
    return drawn
