"""The options for the style, defined once for all commands that draw."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrender import complete

if TYPE_CHECKING:
    from dlrender.style.style import Style

MakeStyle = Callable[[], Any]  # -> Style, whose module is heavy

COLOURS, OVERLAYS, SIZES = "Colours and style", "Overlays", "Sizes"


def _option(help: str, panel: str = COLOURS, **more: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=panel, **more)


# Options that set a field of Style; without the option, the style's value stays.
VALUES: dict[str, Any] = {
    "colormap": Annotated[
        str | None,
        _option(
            "Any colormap of matplotlib; cmc.… and cet_… with the extra colormaps.", autocompletion=complete.colormaps
        ),
    ],
    "norm": Annotated[
        str | None,
        _option("Colours over the episode, each frame, all files (global), or rank.", autocompletion=complete.norms),
    ],
    "window": Annotated[
        str | None,
        _option(
            "What heatmaps show: full, follow (the density), fit (one for the episode), or X,Y,SIZE in px.",
            autocompletion=complete.windows,
        ),
    ],
    "window_size": Annotated[float | None, _option("Least side [px] of a window that follows or fits.")],
    "heat": Annotated[
        str | None,
        _option("Colours of the scores: over the environment, opaque, or off.", autocompletion=complete.heats),
    ],
    "range_nats": Annotated[
        float | None,
        _option("How far below each step's peak colours go [nats].  [default: as far as the estimate resolves]"),
    ],
    "vmin": Annotated[float | None, _option("Score at the lower end of the colours.  [default: from the scores]")],
    "vmax": Annotated[float | None, _option("Score at the upper end of the colours.  [default: from the scores]")],
    "gamma": Annotated[
        float | None, _option("Power of the colour scale: below 1 shows detail in low scores, above 1 in high ones.")
    ],
    "center": Annotated[
        float | None, _option("Score at the centre of the colours, for diverging maps such as coolwarm.")
    ],
    "target_height": Annotated[int | None, _option("Height of videos [px], even.", SIZES)],
    "width": Annotated[
        str | None, _option("Width of the figure, as in 3.5in, 89mm, 8.9cm or 252pt; fonts are 7 to 9 points.", SIZES)
    ],
    "height": Annotated[str | None, _option("Height of a figure with a width.  [default: what it needs]", SIZES)],
    "dpi": Annotated[int | None, _option("Resolution of png figures; 100 gives the size of a video.", SIZES)],
}
# Overlays with their own switch.
SHOW: dict[str, Any] = {
    "prediction": ("show_policy_prediction", "White star: the policy's predicted action."),
    "expert": ("show_expert_action", "Red cross: the expert's action."),
    "arrow": ("show_arrow", "Yellow arrow from the prediction to the expert's action."),
    "contours": ("show_confidence_intervals", "Highest-density regions: 50, 80 and 95 % of the mass."),
    "trace": ("show_trace", "The expert's past actions."),
}
OTHERS: dict[str, Any] = {
    "style": Annotated[
        str, _option("A bundled style (dlrender styles lists them), or a TOML file.", autocompletion=complete.styles)
    ],
    "overlay": Annotated[
        list[str] | None,
        _option(
            "Draw an overlay, with these parameters (see below). Repeat for several.",
            OVERLAYS,
            metavar="NAME[:KEY=VALUE,…]",
            autocompletion=complete.overlays,
        ),
    ],
    "no_overlay": Annotated[
        list[str] | None,
        _option(
            "Leave out an overlay, or all. Repeat for several.",
            OVERLAYS,
            metavar="NAME",
            autocompletion=complete.overlays,
        ),
    ],
}


def describe_overlays() -> str:
    """The bundled overlays and their parameters with defaults, for the end of a command's help; from default.toml alone."""
    text = (Path(__file__).parent / "style" / "default.toml").read_text(encoding="utf-8")
    about = dict(re.findall(r"^\[overlay\.(\w+)\] *# *(.*)$", text, re.MULTILINE))
    lines = ["\b", "Overlays and their parameters; each has panel=heatmap, environment or both:"]
    for name, table in tomllib.loads(text)["overlay"].items():
        keys = ", ".join(f"{key}={_spell(value)}" for key, value in table.items() if key != "panel")
        for part, margin in ((f"{name}: {about[name]}", "  "), (keys, "      ")):
            lines += textwrap.wrap(part, 76, initial_indent=margin, subsequent_indent="      ", break_on_hyphens=False)
    return "\n".join(lines)


def _spell(value: Any) -> str:
    # As the command line takes it.
    if isinstance(value, list):
        return "/".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def styled(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator that replaces the command's parameter `style` by the options above, except those in `without`.

    The command gets a function that makes the style, since importing its module is slow.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        values = {name: kind for name, kind in VALUES.items() if name not in without}
        kinds = {"style": OTHERS["style"], **values, "overlay": OTHERS["overlay"], "no_overlay": OTHERS["no_overlay"]}
        kinds |= {option: Annotated[bool | None, _option(help, OVERLAYS)] for option, help in SHOW.values()}

        @functools.wraps(command)
        def call(**arguments: Any) -> None:
            chosen = {name: arguments.pop(name) for name in kinds}
            command(style=lambda: make_style(chosen), **arguments)

        own = inspect.signature(command, eval_str=True).parameters.values()
        defaults = {"style": "default"}
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=kind)
            for name, kind in kinds.items()
        ]
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own if each.name != "style"]
        call.__signature__ = inspect.Signature([*parameters, *options])  # type: ignore[attr-defined]
        call.__annotations__ = {each.name: each.annotation for each in [*parameters, *options]}
        return call

    return decorate


def make_style(chosen: dict[str, Any]) -> Style:
    """The style with the options applied."""
    from dlrender.style.change import with_options
    from dlrender.style.toml import load_style

    values = {name: chosen.get(name) for name in VALUES}
    show = {overlay: chosen[option] for overlay, (option, _) in SHOW.items()}
    return with_options(load_style(chosen["style"]), values, show, chosen["overlay"] or (), chosen["no_overlay"] or ())
