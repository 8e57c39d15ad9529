"""Checks of a style, before anything is drawn."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import matplotlib
import matplotlib.style
from matplotlib.font_manager import FontProperties, findfont

from dlrender.colors import NORMS, get_colormap, make_norm
from dlrender.errors import RenderError
from dlrender.overlays.base import is_text
from dlrender.shading import HEATS
from dlrender.style.style import Style
from dlrender.window import check_size, parse_window
from dlscore.common.choices import check_choice, check_known

HEIGHTS = (120, 2160)  # px
DPIS = (50, 1200)


def check_style(style: Style) -> None:
    """Raise RenderError if anything in the style cannot be drawn."""
    for name in style.overlays:
        check_known("overlay", name, style.order, RenderError)
    if style.unjoined:
        raise RenderError(
            f"overlay arrow joins the policy's prediction and the expert's action; draw {style.unjoined} too, or leave out "
            "arrow"
        )
    check_choice("--norm", style.norm, NORMS, RenderError)
    get_colormap(style.colormap)
    make_norm(style.norm, [], "", style.range_nats, limits=style.limits)
    parse_window(style.window)
    check_size("--window-size", style.window_size)
    check_choice("--heat", style.heat, HEATS, RenderError)
    check_height(style.target_height)
    if not DPIS[0] <= style.dpi <= DPIS[1]:
        raise RenderError(f"dpi {style.dpi} is not allowed; choose {DPIS[0]} to {DPIS[1]}")
    if style.height and not style.width:
        raise RenderError(f"--height {style.height} needs --width, which decides the size of the panels")
    _ = style.size  # raises what is wrong with it
    _check_layout(style)
    _check_matplotlib(style)


def _check_matplotlib(style: Style) -> None:
    for name in style.rc:
        check_known("rc key", name, list(matplotlib.rcParams), RenderError, "style")
    for sheet in style.sheets:
        if not Path(sheet).is_file():
            check_known("sheet", sheet, matplotlib.style.available, RenderError, "style")
    try:
        with style.active():
            families = matplotlib.rcParams["font.family"]
            latex = matplotlib.rcParams["text.usetex"]
    except (ValueError, OSError) as error:
        raise RenderError(f"style: matplotlib refuses its sheets or [rc] ({' '.join(str(error).split())})") from error
    if latex:
        raise RenderError("style: text.usetex is not supported; write mathtext between two $, which needs no LaTeX")
    with style.active():
        try:
            findfont(FontProperties(family=families), fallback_to_default=False)
        except ValueError as error:
            raise RenderError(
                f"style: no font of the family {', '.join(families)} is installed; choose another"
            ) from error


def _check_layout(style: Style) -> None:
    layout, fonts = style.layout, style.fonts
    right = layout.left + layout.side + (layout.bar_gap + layout.bar_width if layout.colorbar else 0)
    if not (layout.side >= 60 and layout.left >= 0 and layout.top >= 0 and layout.top + layout.side <= 480):
        raise RenderError(
            f"style: layout of axes {layout.side:g} px wide at {layout.left:g}, {layout.top:g} is not allowed; "
            "left, top and side are px of a panel 480 px high, side is at least 60"
        )
    if not right <= layout.width <= 1920 or min(layout.bar_gap, layout.bar_width - 1) < 0:
        raise RenderError(f"style: layout.width {layout.width:g} is not allowed; choose {right:g} to 1920 px")
    if layout.ticks and not 8 <= layout.ticks <= 512:
        raise RenderError(f"style: layout.ticks {layout.ticks:g} is not allowed; choose 8 to 512 px, or 0 for none")
    try:
        layout.title.format(method="", episode=0, quantity="")
        if not is_text(layout.title):
            raise ValueError("mathtext")
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise RenderError(
            f"style: layout.title {layout.title!r} is not allowed; it may contain {{quantity}}, {{method}}, "
            f"{{episode}}, and mathtext between two $"
        ) from error
    for each in fields(fonts):
        if not 1 <= getattr(fonts, each.name) <= 60:
            raise RenderError(
                f"style: fonts.{each.name} {getattr(fonts, each.name):g} is not allowed; choose 1 to 60 points"
            )


def check_height(height: int) -> None:
    """Raise RenderError unless `height` px is possible for frames."""
    low, high = HEIGHTS
    if not low <= height <= high or height % 2:
        raise RenderError(f"--target-height {height} is not allowed; choose an even number from {low} to {high} px")
