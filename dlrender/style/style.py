"""A style: what a picture looks like, over matplotlib's own style sheets. `Style()` is the bundled style `default`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

import matplotlib
import matplotlib.style

from dlrender.colors import Limits, Norm, make_norm
from dlrender.overlays import OVERLAYS, Arrow, Overlay
from dlscore.cache.reader import EpisodeCache

# Hinted glyphs are garbled in small videos, and wider than their share: at 120 px the legend would not fit.
FIRST: dict[str, Any] = {"text.hinting": "no_hinting"}
LAST: dict[str, Any] = {"savefig.bbox": "standard"}  # a figure has the size that the style gives


@dataclass(frozen=True)
class Layout:
    """Where things are in a heatmap panel [px], of which 480 px are the height."""

    width: float = 640.0
    left: float = 62.0  # of the axes
    top: float = 28.0
    side: float = 386.0
    bar_gap: float = 14.0  # between the axes and the colour bar
    bar_width: float = 14.0
    title: str = "{method}, episode {episode}"
    ticks: float = 128.0  # between the ticks of the axes [px of the environment]; 0 for none
    axis_labels: bool = True
    colorbar: bool = True
    legend: bool = True
    legend_color: str = "#c8c8c8"


@dataclass(frozen=True)
class Fonts:
    """Sizes of the text [points], in a panel 480 px high. The family is matplotlib's own `font.family`, under [rc]."""

    title: float = 10.5
    labels: float = 8.5
    ticks: float = 8.0
    legend: float = 7.2


@dataclass(frozen=True)
class Style:
    """What a picture looks like. `overlays` names those that are drawn, `overlay` holds the looks of all."""

    colormap: str = "viridis"
    norm: str = "episode"
    range_nats: float = 10.0
    vmin: float | None = None
    vmax: float | None = None
    gamma: float = 1.0
    center: float | None = None
    target_height: int = 480
    dpi: int = 200
    sheets: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ("trace", "arrow", "prediction", "expert", "counter", "drift")
    layout: Layout = field(default_factory=Layout)
    fonts: Fonts = field(default_factory=Fonts)
    overlay: Mapping[str, Overlay] = field(default_factory=lambda: {name: kind() for name, kind in OVERLAYS.items()})
    rc: Mapping[str, Any] = field(default_factory=dict)

    @property
    def limits(self) -> Limits:
        """What the style says of the ends and the middle of the colour scale."""
        return Limits(self.vmin, self.vmax, self.gamma, self.center)

    def drawn(self, panel: str | None = None, scale: float = 1.0) -> list[Overlay]:
        """The overlays over a panel, or all, in the order in which they are drawn, with points `scale` times their own."""
        chosen = [self.overlay[name] for name in OVERLAYS if name in self.overlays]
        if "expert" not in self.overlays:  # no cross to hide the arrow's head: it goes all the way
            chosen = [replace(each, gap=0.0) if isinstance(each, Arrow) else each for each in chosen]
        return [_scaled(each, scale) for each in chosen if panel is None or each.panel in (panel, "both")]

    def make_norm(self, episodes: Sequence[EpisodeCache], method: str, step: int | None = None) -> Norm:
        """The norm over all steps of some episodes, or with "frame" over one step."""
        step = step if self.norm == "frame" else None
        return make_norm(self.norm, episodes, method, self.range_nats, step, self.limits)

    @property
    def alone(self) -> bool:
        """Whether each frame has a scale of its own, which the scores of that frame give."""
        return self.norm == "frame" and (self.vmin is None or self.vmax is None)

    @contextmanager
    def active(self) -> Iterator[None]:
        """matplotlib as the style wants it: its defaults (not those of this machine's user), the sheets, then [rc]."""
        with matplotlib.rc_context():
            matplotlib.style.use(["default", *self.sheets])
            matplotlib.rcParams.update(FIRST | dict(self.rc) | LAST)  # type: ignore[arg-type]
            yield


def _scaled(overlay: Overlay, scale: float) -> Overlay:
    lengths = {f.name: getattr(overlay, f.name) * scale for f in fields(overlay) if f.name in overlay.LENGTHS}
    return replace(overlay, **lengths)
