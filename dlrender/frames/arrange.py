"""Square axes in rows and columns of a figure of a given width: labels are measured, so that nothing is cut or overlaps.

Lengths are inches unless they say px. Columns are aligned, all squares have one size, and the height follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from dlrender.errors import RenderError

PAD, GAP = 0.04, 0.08  # around everything, and between the squares and what is beside them
BAR_GAP, BAR_WIDTH = 0.06, 0.09
LEAST = 0.5  # side of the squares
PASSES = 8  # at most: the side decides where texts wrap and how many ticks there are, which decides the side
CLOSE = 0.01


@dataclass(frozen=True)
class Cell:
    """Square axes at a row and a column, with a colour bar to their right if there is one."""

    axes: Axes
    row: int
    column: int
    bar: Axes | None = None


def arrange(
    figure: Figure, cells: Sequence[Cell], width: float, height: float | None = None, below: float = 0.0
) -> float:
    """Place the axes of the cells; the side of the squares. The figure gets its size.

    height: of the figure; None for what is needed. below: what stays free at the bottom, for a legend. RenderError if the
    squares would be too small to see.
    """
    rows, columns = (1 + max(getattr(cell, name) for cell in cells) for name in ("row", "column"))
    side = before = width / columns
    for _ in range(PASSES):
        figure.set_size_inches(width, height or width)
        for cell in cells:  # of the size that they will have, so that texts and ticks are, too
            _place(figure, cell, 0.0, 0.0, side)
        for cell in cells:
            _wrap(cell, side)
        left, right, top, bottom = _margins(cells, rows, columns)
        across = left[0] + right[-1] + 2 * PAD + sum(right[k] + left[k + 1] + GAP for k in range(columns - 1))
        down = sum(top) + sum(bottom) + below + 2 * PAD + GAP * (rows - 1)
        side, before = (width - across) / columns, side
        if height is not None:
            side = min(side, (height - down) / rows)
        side = max(side, LEAST)
        if abs(side - before) < CLOSE:
            break
    if across + columns * side > width + CLOSE or (height is not None and down + rows * side > height + CLOSE):
        raise RenderError(
            f"a figure {_size(width, height)} has no room for {rows} × {columns} panels with their labels; make it larger, or "
            "draw fewer columns"
        )
    figure.set_size_inches(width, down + rows * side if height is None else height)
    _spread(figure, cells, (left, right, top, bottom), side, (width - across - columns * side) / 2)
    return float(side)


def _spread(figure: Figure, cells: Sequence[Cell], margins: tuple[list[float], ...], side: float, start: float) -> None:
    # From the upper left corner; `start` is left free.
    left, right, top, bottom = margins
    x, y = start + PAD, float(figure.get_size_inches()[1]) - PAD
    lefts, tops = [], []
    for west, east in zip(left, right, strict=True):
        lefts.append(x + west)
        x += west + side + east + GAP
    for north, south in zip(top, bottom, strict=True):
        tops.append(y - north - side)
        y -= north + side + south + GAP
    for cell in cells:
        _place(figure, cell, lefts[cell.column], tops[cell.row], side)


def _place(figure: Figure, cell: Cell, x: float, y: float, side: float) -> None:
    # The lower left corner of the square at (x, y).
    width, height = figure.get_size_inches()
    cell.axes.set_position((x / width, y / height, side / width, side / height))
    if cell.bar is not None:
        cell.bar.set_position(((x + side + BAR_GAP) / width, y / height, BAR_WIDTH / width, side / height))


def _margins(cells: Sequence[Cell], rows: int, columns: int) -> tuple[list[float], ...]:
    # What labels need left and right of each column, and above and below each row.
    left, right, top, bottom = [0.0] * columns, [0.0] * columns, [0.0] * rows, [0.0] * rows
    for cell in cells:
        west, east, north, south = _overhang(cell)
        left[cell.column], right[cell.column] = max(left[cell.column], west), max(right[cell.column], east)
        top[cell.row], bottom[cell.row] = max(top[cell.row], north), max(bottom[cell.row], south)
    return left, right, top, bottom


def _overhang(cell: Cell, titles: bool = True) -> tuple[float, float, float, float]:
    # How far ticks, labels, title and bar reach beyond the square, to the left, the right, the top and the bottom.
    figure: Any = cell.axes.figure
    renderer, dpi = figure.canvas.get_renderer(), figure.dpi
    cell.axes.get_tightbbox(renderer)  # places the title
    square = cell.axes.get_window_extent(renderer)
    found: list[Any] = [
        title.get_window_extent(renderer) for title in titles_of(cell.axes) if titles and title.get_text()
    ]
    if cell.axes.axison:
        found += [axis.get_tightbbox(renderer) for axis in (cell.axes.xaxis, cell.axes.yaxis)]
    if cell.bar is not None:
        found.append(cell.bar.get_tightbbox(renderer))
    boxes = [box for box in found if box is not None]
    beside = 0.0 if cell.bar is None else BAR_GAP  # so that the bar's label is nearer to it than to the next panel
    return (
        max([0.0, *(square.x0 - box.x0 for box in boxes)]) / dpi,
        max([0.0, *(box.x1 - square.x1 for box in boxes)]) / dpi + beside,
        max([0.0, *(box.y1 - square.y1 for box in boxes)]) / dpi,
        max([0.0, *(square.y0 - box.y0 for box in boxes)]) / dpi,
    )


def titles_of(axes: Axes) -> list[Text]:
    """The titles of axes: in the centre, at the left and at the right."""
    return [axes.title, axes._left_title, axes._right_title]  # type: ignore[attr-defined]


def _wrap(cell: Cell, side: float) -> None:
    figure: Any = cell.axes.figure
    west, east, _, _ = _overhang(cell, titles=False)
    over = side + 2 * min(west, east)  # a title may be above the labels on both sides
    texts = [(cell.axes.title, 0, over), (cell.axes.xaxis.label, 0, side), (cell.axes.yaxis.label, 1, side)]
    if cell.bar is not None:
        texts.append((cell.bar.yaxis.label, 1, side))
    for text, axis, room in texts:
        words = text.get_text().split()
        for lines in range(1, len(words) + 1):
            text.set_text("\n".join(balanced(words, lines)))
            extent = text.get_window_extent(figure.canvas.get_renderer())
            if (extent.width, extent.height)[axis] <= room * figure.dpi:
                break


def balanced(words: Sequence[str], lines: int) -> Iterable[str]:
    """The words in at most so many lines, none longer than needed."""
    longest = max(map(len, words))
    for width in range(longest, sum(map(len, words)) + len(words)):
        made = [words[0]]
        for word in words[1:]:
            if len(made[-1]) + 1 + len(word) <= width:
                made[-1] += f" {word}"
            else:
                made.append(word)
        if len(made) <= lines:
            return made
    return [" ".join(words)]


def _size(width: float, height: float | None) -> str:
    return f"{width:.2f} in wide" + ("" if height is None else f" and {height:.2f} in high")
