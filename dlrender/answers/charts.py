"""Charts: panels that are drawn into anybody's axes, and whole figures of them in a style, with a width for print."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from dlrender.errors import RenderError
from dlrender.figures import MATPLOTLIBS, SUFFIXES
from dlrender.style.style import Style
from dlscore import __version__
from dlscore.common.choices import check_known
from dlscore.common.files import atomic_path

NARROWEST = 3.0  # in: axes of less have no room beside their labels
NARROW = 5.0  # in: less has no room for a legend beside a title, nor for panels side by side
PANEL_HEIGHT = 0.75  # of its width, in a narrow figure
# Sizes in points at the final width, which journals ask for; a style's [rc] goes over them.
LOOK: dict[str, Any] = {
    "font.size": 8.0, "axes.titlesize": 8.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.labelsize": 8.0, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "legend.fontsize": 7.0, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.3, "lines.markersize": 4.0, "axes.grid": False,
    "figure.constrained_layout.h_pad": 0.06, "figure.constrained_layout.w_pad": 0.06,
}  # fmt: skip
# For light and for dark backgrounds; told apart by lightness too.
LIGHT = {"blue": "#2166ac", "red": "#b2182b", "orange": "#e08214", "green": "#1b7837", "purple": "#762a83"}
DARK = {"blue": "#6baed6", "red": "#ff7b6b", "orange": "#fdb863", "green": "#7fd08a", "purple": "#c9a6ff"}

Panel = Callable[[Axes, Any], None]


@dataclass(frozen=True)
class Chart:
    """Panels by name, in the order of their letters, and how a figure lays them out: a mosaic, and its height over its width."""

    panels: Mapping[str, Panel]
    mosaic: Sequence[Sequence[str]]
    aspect: float
    width: float = 7.0  # in
    least_height: float = 0.0  # in, for narrow figures
    heights: Sequence[float] | None = None
    widths: Sequence[float] | None = None


@contextmanager
def chart_style(style: Style) -> Iterator[None]:
    """Within it, matplotlib draws charts as the style says; rcParams are restored after."""
    with style.active():
        matplotlib.rcParams.update(LOOK | dict(style.rc))  # type: ignore[arg-type]
        yield


def chart_figure(chart: Chart, data: Any, style: Style, width: float | None = None) -> Figure:
    """The whole figure, `width` inches wide; call it within `chart_style`."""
    wide = chart.width if width is None else width
    mosaic: list[Any] = [list(row) for row in chart.mosaic]
    tall = max(wide * chart.aspect, chart.least_height)
    ratios: dict[str, Any] = {"height_ratios": chart.heights, "width_ratios": chart.widths}
    if wide < NARROW and len(mosaic[0]) > 1:  # one below the other
        mosaic, tall, ratios = [[name] for name in chart.panels], PANEL_HEIGHT * wide * len(chart.panels), {}
    figure = Figure(figsize=(wide, tall), dpi=style.dpi, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic(mosaic, **ratios)
    for name, panel in chart.panels.items():
        panel(axes[name], data)
    figure.draw_without_rendering()  # ticks get their style when they are first laid out
    return figure


def plot_panel(chart: Chart, data: Any, ax: Axes, panel: str) -> Axes:
    """Draw one panel into axes of your own, which keep your rcParams."""
    check_known("panel", panel, chart.panels, RenderError)
    chart.panels[panel](ax, data)
    return ax


def save_chart(figure: Figure, path: Path, style: Style, about: Mapping[str, Any], provenance: bool = True) -> Path:
    """Write a figure as png, pdf or svg with `about` as metadata; text stays editable. Call it within `chart_style`.

    The same figure gives the same file: it has no date. provenance: False leaves out `about`, and what matplotlib would write.
    """
    note = json.dumps({**(about if provenance else {}), "dlrender": __version__}, sort_keys=True)
    key = {".pdf": "Subject", ".png": "Comment", ".svg": "Description"}[path.suffix]
    left_out = [name for name in MATPLOTLIBS[path.suffix] if not provenance or "Date" in name]
    metadata: dict[str, Any] = {key: note, **dict.fromkeys(left_out)}
    look: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "dlrender"}
    with matplotlib.rc_context(look), atomic_path(path, RenderError) as part:
        face = figure.get_facecolor()
        figure.savefig(part, format=path.suffix[1:], dpi=style.dpi, metadata=metadata, facecolor=face)
    return path


def check_chart_name(path: Path) -> None:
    """Raise RenderError for a figure's name that says no format."""
    if path.suffix not in SUFFIXES:
        raise RenderError(f"figure {path} has no known format; end its name in {', '.join(SUFFIXES)}")


def colors() -> dict[str, str]:
    """Colours by name, for the background that is in use."""
    return DARK if sum(to_rgb(matplotlib.rcParams["axes.facecolor"])) < 1.5 else LIGHT


def color_of(number: int) -> str:
    """The colour of a group by its number."""
    return list(colors().values())[number % len(LIGHT)]


def muted() -> Any:
    """The colour of what is beside the point: half way from the text to the background."""
    text, back = (to_rgb(matplotlib.rcParams[name]) for name in ("text.color", "axes.facecolor"))
    return tuple(0.55 * t + 0.45 * b for t, b in zip(text, back, strict=True))


def shades() -> Colormap:
    """A colormap from the background to a deep colour, for densities."""
    back, blue = matplotlib.rcParams["axes.facecolor"], colors()["blue"]
    deep = "#06264f" if colors() is LIGHT else "#f2f8ff"
    return LinearSegmentedColormap.from_list("density", [back, blue, deep])


def diverging() -> Colormap:
    """From blue by the background to red, for ratios of densities."""
    back, ends = matplotlib.rcParams["axes.facecolor"], colors()
    return LinearSegmentedColormap.from_list("ratio", [ends["blue"], back, ends["red"]])


def legend_above(ax: Axes, columns: int = 1) -> None:
    """A legend above the axes at their right, where it hides nothing: beside the title, in narrow figures below it."""
    if ax.get_figure(root=True).get_figwidth() < NARROW:  # type: ignore[union-attr]
        ax.set_title(ax.get_title(loc=matplotlib.rcParams["axes.titlelocation"]), pad=16)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, borderpad=0.1, ncols=columns, handlelength=1.4,
              columnspacing=1.2)  # fmt: skip


def short_names(names: Sequence[str]) -> list[str]:
    """Names of policies or data sets for labels: the last part of each path, or else the parts that tell them apart.

    `runs/a/checkpoints/100/pretrained_model` and `…/200/pretrained_model` are 100 and 200.
    """
    parts = [name.rstrip("/").split("/") for name in names]
    last = [each[-1] for each in parts]
    if len(set(last)) == len(set(names)):
        return last
    least = min(map(len, parts))
    first = next((k for k in range(least) if len({each[k] for each in parts}) > 1), 0)
    end = next((k for k in range(least) if len({each[-1 - k] for each in parts}) > 1), 0)
    found = ["/".join(each[first : len(each) - end]) for each in parts]
    return found if all(found) else list(names)
