"""Films of answers: a figure whose artists change from frame to frame, written as dlrender's videos are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.figure import Figure

from dlrender.answers.charts import chart_style, diverging, shades
from dlrender.errors import RenderError
from dlrender.frames.encode import video
from dlrender.frames.frame import Frame
from dlrender.style.style import Style
from dlscore import __version__

SUFFIXES = (".mp4", ".webp")
DENSITIES = (1e-7, 3e-3)  # 1/px²: ends of the colours, the same for all steps, policies and checkpoints
SHARP = 128  # cells a side of a density


@dataclass(frozen=True)
class Film:
    """A figure, how many frames there are, what shows frame k in it, and their rate [1/s]."""

    figure: Figure
    frames: int
    show: Callable[[int], None]
    fps: float


def check_film_name(path: Path) -> None:
    """Raise RenderError for a film's name that says no format."""
    if path.suffix not in SUFFIXES:
        raise RenderError(f"film {path} has no known format; end its name in {' or '.join(SUFFIXES)}")


def write_film(make: Callable[[], Film], path: Path, style: Style, about: Mapping[str, Any]) -> Path:
    """Write the film that `make` gives within the style, with `about` as metadata; sides are made even, as encoders ask."""
    with chart_style(style):
        film = make()
        width, height = (2 * round(side * style.dpi / 2) for side in film.figure.get_size_inches())
        film.figure.set_dpi(style.dpi)
        film.figure.set_size_inches(width / style.dpi, height / style.dpi)
        canvas: Any = FigureCanvasAgg(film.figure)
        film.figure.draw_without_rendering()
        film.figure.set_layout_engine("none")  # what is where stays, whatever the texts are
        with video(path, width, height, film.fps, {**about, "dlrender": __version__}) as writer:
            for k in range(film.frames):
                film.show(k)
                canvas.draw()
                writer.write(Frame.whole(np.array(canvas.buffer_rgba())))
    return path


def density_image(ax: Any, window: tuple[float, float, float]) -> Any:
    """An image of densities on a window (left, top, side) px, on the one scale; `set_data` takes exp of log densities."""
    empty = np.full((SHARP, SHARP), DENSITIES[0])
    return _image(ax, empty, window, cmap=shades(), norm=LogNorm(*DENSITIES), interpolation="bilinear")


def ratio_image(ax: Any, window: tuple[float, float, float], reach: float) -> Any:
    """An image of log2 ratios of two densities, to `reach` powers of 2 either way."""
    return _image(ax, np.zeros((SHARP, SHARP)), window, cmap=diverging(), norm=TwoSlopeNorm(0, -reach, reach))


def _image(ax: Any, values: Any, window: tuple[float, float, float], **look: Any) -> Any:
    left, top, side = window
    image = ax.imshow(values, extent=(left, left + side, top + side, top), **look)
    ax.set(xticks=[], yticks=[], xlim=(left, left + side), ylim=(top + side, top))
    for spine in ax.spines.values():
        spine.set_visible(True)
    return image
