"""A line of text on a dark box, drawn fast in frames and editable in vector figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from dlscore.common.arrays import Array

CORNERS = ("upper right", "upper left", "lower right", "lower left")
MARGIN, PAD = 5.0, 2.5  # points between the axes and the box, and between the box and its text
ABOVE, BELOW = 0.85, 0.25  # extent of the text above and below the baseline, in font sizes
FONTS: Any = (  # rcParams on which the choice of a font depends
    "font.family", "font.serif", "font.sans-serif", "font.cursive", "font.fantasy", "font.monospace", "font.style",
    "font.variant", "font.weight", "font.stretch",
)  # fmt: skip
PHASES = 4  # positions within a pixel at which a piece of text is cached
BETWEEN = " · "  # parts of a text, which get lines of their own in narrow axes
PIECES = re.compile(r"\d|\D+")  # digits change from frame to frame, the rest stays


def box_height(fontsize: float) -> float:
    """Height of the box of a line [points]."""
    return (ABOVE + BELOW) * fontsize + 2 * PAD


class _Line(NamedTuple):
    text: str
    file: str  # of the font
    pieces: Sequence[str]
    advances: Sequence[float]  # px, of the pieces
    width: float  # px, of the box


class Label(Artist):
    """A line of text on a box in a corner of the axes: an image in Agg, a box and editable text in pdf and svg.

    matplotlib's own Text lays out and renders each new string, which would take half the time of a frame.
    """

    def __init__(
        self, text: str, corner: str, fontsize: float, color: str, alpha: float, ground: str = "black"
    ) -> None:
        super().__init__()
        self.text, self.corner, self.fontsize, self.color, self.alpha = text, corner, fontsize, color, alpha
        self.ground = ground

    def draw(self, renderer: Any) -> None:
        if not self.get_visible():
            return
        axes, pixels, size = self.axes, renderer.points_to_pixels(1.0), self.fontsize
        assert axes is not None
        file = _font_file(*(str(rcParams[name]) for name in FONTS))
        lines = [self._measure(self.text, file, renderer)]
        if lines[0].width > axes.bbox.width - 2 * MARGIN * pixels:  # a line for each part, in narrow axes
            lines = [self._measure(part, file, renderer) for part in self.text.split(BETWEEN)]
        if "upper" not in self.corner:
            lines = lines[::-1]
        height = box_height(size) * pixels
        for n, line in enumerate(lines):
            self._draw_line(line, renderer, n * height)

    def _measure(self, text: str, file: str, renderer: Any) -> _Line:
        pieces, pixels = PIECES.findall(text), renderer.points_to_pixels(1.0)
        # The resolution of the page, which for pdf and svg is not that of the images in it.
        advances = [advance(piece, file, self.fontsize, 72 * pixels) for piece in pieces]
        return _Line(text, file, pieces, advances, sum(advances) + 2 * PAD * pixels)

    def _draw_line(self, line: _Line, renderer: Any, away: float) -> None:
        # away: px from the place of the first line.
        axes, pixels, size = self.axes, renderer.points_to_pixels(1.0), self.fontsize
        assert axes is not None
        width = line.width
        height = box_height(size) * pixels
        margin, within = MARGIN * pixels, axes.bbox
        left = within.x1 - margin - width if "right" in self.corner else within.x0 + margin
        bottom = within.y1 - margin - height - away if "upper" in self.corner else within.y0 + margin + away
        gc = renderer.new_gc()
        gc.set_clip_rectangle(within)
        if isinstance(renderer, RendererAgg):
            look = (size, renderer.dpi, str(rcParams["text.hinting"]), self.color, self.alpha, self.ground)
            image = _image(round(width), round(height), line.file, tuple(line.pieces), tuple(line.advances), look)
            renderer.draw_image(gc, round(left), round(bottom), image)
        else:
            gc.set_linewidth(0)
            gc.set_alpha(self.alpha)
            box = Affine2D().scale(width, height).translate(left, bottom)
            renderer.draw_path(gc, Path.unit_rectangle(), box, to_rgb(self.ground))
            gc.set_alpha(1.0)
            gc.set_foreground(self.color)
            x, y = left + PAD * pixels, bottom + (PAD + BELOW * size) * pixels
            y = renderer.get_canvas_width_height()[1] - y if renderer.flipy() else y
            renderer.draw_text(gc, x, y, line.text, FontProperties(size=size), 0)
        gc.restore()


@lru_cache(maxsize=8)
def _font_file(*names: str) -> str:
    # Of what rcParams say, which are the names: asking matplotlib takes a tenth of the time of a label.
    return str(findfont(FontProperties()))


@lru_cache(maxsize=32)
def _image(
    width: int,
    height: int,
    file: str,
    pieces: tuple[str, ...],
    advances: tuple[float, ...],
    look: tuple[float, float, str, str, float, str],
) -> Array:
    # (height, width, 4) uint8 RGBA, the lowest row first: the text's coverage over the box. Many texts stay for many frames.
    size, dpi, hinting, color, alpha, ground = look
    pixels = dpi / 72
    cover: Array = np.zeros((height, width), dtype=np.float32)
    baseline, x = height - round((PAD + BELOW * size) * pixels), PAD * pixels
    for piece, step in zip(pieces, advances, strict=True):
        quarter = round(x * PHASES)
        drawn, up, back = coverage(piece, file, size, dpi, quarter % PHASES, hinting)
        top, left = baseline - up, quarter // PHASES - back
        drawn = drawn[max(0, -top) :, max(0, -left) :]  # crop to the box
        part: Array = cover[max(0, top) :, max(0, left) :][: drawn.shape[0], : drawn.shape[1]]
        part += drawn[: part.shape[0], : part.shape[1]]
        x += step
    shades = inked(color, alpha, ground)
    image: Array = shades[(np.minimum(cover, 1) * (len(shades) - 1) + 0.5).astype(np.uint8)]
    return np.ascontiguousarray(image.view(np.uint8).reshape(height, width, 4)[::-1])


@lru_cache(maxsize=64)
def inked(color: str, alpha: float, ground: str = "black") -> Array:
    """(256,) uint32 RGBA of a `ground` of opacity `alpha` under `color`, at coverages from 0 to 1."""
    cover = np.linspace(0, 1, 256)[:, None]
    opaque = cover + alpha * (1 - cover)
    below = np.array(to_rgb(ground)) * alpha * (1 - cover)
    colour = (np.array(to_rgb(color)) * cover + below) / np.maximum(opaque, 1e-6)
    return (np.hstack([colour, opaque]) * 255 + 0.5).astype(np.uint8).view(np.uint32)[:, 0]


@lru_cache(maxsize=1024)
def advance(text: str, font: str, size: float, dpi: float) -> float:
    """The advance width [px] of a text in a font file, without kerning."""
    face = get_font(font)
    face.set_size(size, dpi)
    return sum(face.load_char(ord(char), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 for char in text)


@lru_cache(maxsize=1024)
def coverage(text: str, font: str, size: float, dpi: float, quarter: int, hinting: str) -> tuple[Array, int, int]:
    """The coverage (H, W) [0, 1] of a text that starts `quarter` / PHASES px right of a pixel's edge, rendered by Agg.

    Also the number of its rows above the baseline and of its columns left of that edge. hinting: that of rcParams, on which
    the glyphs depend.
    """
    up, down, back = (int(np.ceil(share * size * dpi / 72)) for share in (1.2, 0.4, 0.3))
    renderer: Any = RendererAgg(int(np.ceil(advance(text, font, size, dpi))) + 2 * back, up + down, dpi)  # type: ignore[no-untyped-call]
    renderer.draw_text(renderer.new_gc(), back + quarter / PHASES, up, text, FontProperties(fname=font, size=size), 0)
    return np.asarray(renderer.buffer_rgba())[..., 3] / np.float32(255), up, back
