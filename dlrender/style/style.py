"""A style: how everything is drawn, on top of matplotlib's style sheets. `Style()` is the bundled style `default`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

import matplotlib
import matplotlib.style

from dlrender.colors import Limits, Norm, make_norm
from dlrender.errors import RenderError
from dlrender.overlays import Overlay, check_name, known_overlays
from dlrender.window import Window, make_windows
from dlscore.cache import EpisodeCache

# Hinted glyphs are garbled in small videos, and too wide: at 120 px the legend would not fit.
FIRST: dict[str, Any] = {"text.hinting": "no_hinting"}
PER_INCH = {"in": 1.0, "mm": 25.4, "cm": 2.54, "pt": 72.0}
LENGTHS = (0.5, 40.0)  # in
LAST: dict[str, Any] = {"savefig.bbox": "standard"}  # a figure has the size that the style gives


@dataclass(frozen=True)
class Layout:
    """Positions and sizes in a heatmap panel [px], which is 480 px high."""

    width: float = 576.0
    left: float = 62.0  # of the axes
    top: float = 28.0
    side: float = 386.0
    bar_gap: float = 14.0  # between the axes and the colour bar
    bar_width: float = 14.0
    title: str = "{quantity}, episode {episode}"
    ticks: float = 128.0  # between the ticks of the axes [px of the environment]; 0 for none
    axis_labels: bool = True
    colorbar: bool = True
    legend: bool = True
    letters: bool = True  # a, b, … of the steps of a sheet


@dataclass(frozen=True)
class Fonts:
    """Font sizes [points] in a panel 480 px high. The family is matplotlib's `font.family`, under [rc]."""

    title: float = 10.5
    labels: float = 8.5
    ticks: float = 8.0
    legend: float = 7.2


@dataclass(frozen=True)
class Style:
    """How everything is drawn. `overlays` names the overlays that are drawn, `overlay` holds the parameters of all."""

    colormap: str = "viridis"
    norm: str = "episode"
    range_nats: float | None = None
    vmin: float | None = None
    vmax: float | None = None
    gamma: float = 1.0
    center: float | None = None
    window: str = "follow"
    window_size: float = 160.0
    heat: str = "over"
    target_height: int = 480
    dpi: int = 200
    width: str = ""
    height: str = ""
    sheets: tuple[str, ...] = ()
    overlays: tuple[str, ...] = (
        "world",
        "trace",
        "arrow",
        "prediction",
        "expert",
        "counter",
        "drift",
        "inside",
        "scale",
    )
    layout: Layout = field(default_factory=Layout)
    fonts: Fonts = field(default_factory=Fonts)
    overlay: Mapping[str, Overlay] = field(
        default_factory=lambda: {name: kind() for name, kind in known_overlays().items()}
    )
    rc: Mapping[str, Any] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        """The ends and the centre of the colour scale, as far as the style sets them."""
        return Limits(self.vmin, self.vmax, self.gamma, self.center)

    @property
    def size(self) -> tuple[float, float | None] | None:
        """Width and, unless it follows, height of figures [in]; None if they have the size of a video's frame."""
        if not self.width:
            return None
        return parse_length("--width", self.width), parse_length("--height", self.height) if self.height else None

    @property
    def order(self) -> tuple[str, ...]:
        """All overlay names in drawing order: built-in, from entry points, then added by `with_overlay`."""
        return tuple(dict.fromkeys((*known_overlays(), *self.overlay)))

    def with_overlay(self, name: str, overlay: Overlay) -> Style:
        """A copy that also draws `overlay`, after the built-in ones, under a name of your choice."""
        check_name(name)
        if name in known_overlays():
            raise RenderError(f"overlay name {name!r} is taken; choose another, such as my_{name}")
        if not isinstance(overlay, Overlay):
            raise RenderError(f"overlay {name} is {overlay!r}; give an instance of a subclass of dlrender.Overlay")
        chosen = tuple(dict.fromkeys((*self.overlays, name)))
        return replace(self, overlay={**self.overlay, name: overlay}, overlays=chosen)

    def drawn(self, panel: str | None = None, scale: float = 1.0) -> list[Overlay]:
        """The overlays of a panel, or of all panels, in drawing order; lengths in points are multiplied by `scale`."""
        chosen = [self.overlay[name] for name in self.order if name in self.overlays]
        return [_scaled(each, scale) for each in chosen if panel is None or each.panel in (panel, "both")]

    @property
    def unjoined(self) -> str:
        """What the arrow lacks, in words: it joins two marks, so both must be drawn wherever it is. "" if nothing."""
        if "arrow" not in self.overlays:
            return ""
        for panel in ("heatmap", "environment"):
            there = self.drawn(panel)
            if self.overlay["arrow"] in there:
                missing = [
                    name
                    for name in ("prediction", "expert")
                    if name not in self.overlays or self.overlay[name] not in there
                ]
                if missing:
                    return f"{' and '.join(missing)} on the {panel}"
        return ""

    def make_norm(self, caches: Sequence[EpisodeCache], method: str, step: int | None = None) -> Norm:
        """The norm over all steps of some caches; over one step if the norm is "frame"."""
        step = step if self.norm == "frame" else None
        return make_norm(self.norm, caches, method, self.range_nats, step, self.limits)

    def make_windows(self, cache: EpisodeCache, methods: Sequence[str], steps: Sequence[int]) -> list[Window]:
        """The window of each of some steps of an episode, the same for all methods that are drawn together."""
        return make_windows(cache, methods, self.window, self.window_size, steps)

    @property
    def bar(self) -> bool:
        """Whether there is a colour bar: not without colours."""
        return self.layout.colorbar and self.heat != "off"

    @property
    def per_frame(self) -> bool:
        """Whether each frame has its own colour scale, from the scores of that frame."""
        return self.norm == "frame" and (self.vmin is None or self.vmax is None)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Apply matplotlib's defaults (not the user's matplotlibrc), then the sheets, then [rc]; restore rcParams after."""
        with matplotlib.rc_context():
            matplotlib.style.use(["default", *self.sheets])
            matplotlib.rcParams.update(FIRST | dict(self.rc) | LAST)  # type: ignore[arg-type]
            yield


def parse_length(option: str, text: str, low: float = LENGTHS[0]) -> float:
    """Inches of a length such as 3.5in, 89mm, 8.9cm or 252pt; RenderError for any other text, and for less than `low` inches."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(in|mm|cm|pt)\s*", text, re.ASCII)
    high = LENGTHS[1]
    length = float(found[1]) / PER_INCH[found[2]] if found else 0.0
    if not low <= length <= high:
        raise RenderError(
            f"{option} {text!r} is not allowed; write such as 3.5in, 89mm, 8.9cm or 252pt, from {low:g} to {high:g} inches"
        )
    return length


def _scaled(overlay: Overlay, scale: float) -> Overlay:
    lengths = {f.name: getattr(overlay, f.name) * scale for f in fields(overlay) if f.name in overlay.LENGTHS}
    return replace(overlay, **lengths)
