"""The part of the world that a heatmap shows: all of it, a square, or one that follows the density through an episode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlrender.errors import RenderError
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.choices import suggest
from dlscore.common.world import WORLD_SIZE

KINDS = ("full", "follow", "fit")
SIZES = (16.0, 2048.0)  # px, of a window
TAILS = 0.01  # of the mass, beyond each edge of the box that a window keeps in view
SMOOTH = 3.0  # steps of the episode: deviation of the filter over a window's path
REACH = 9  # steps of the episode before and after that it uses
AROUND = 1.25  # of the box: what a window shows
ROOM = 8.0  # px that stay free between the box and the window's edge
BEYOND = 16.0  # px of a window that may be outside the world
SAMPLED = 64  # steps from which the size of a window is chosen
NICE = (1.0, 2.0, 5.0, 10.0)
NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"

Boxes = dict[int, Array]  # by step of one cache: what its window shows


@dataclass(frozen=True)
class Window:
    """A square of the world [px], y down."""

    left: float
    top: float
    side: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top, as matplotlib's imshow takes them."""
        return self.left, self.left + self.side, self.top + self.side, self.top

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole world."""
        return self == WHOLE


WHOLE = Window(0.0, 0.0, float(WORLD_SIZE))


def parse_window(text: str) -> str | Window:
    """One of KINDS, or the window of `X,Y,SIZE`: its upper left corner and its side [px]; RenderError for another text."""
    if text in KINDS:
        return text
    numbers = re.fullmatch(f"{NUMBER},{NUMBER},{NUMBER}", text)
    if numbers is None:
        raise RenderError(
            f"--window {text} is not allowed; {suggest(text, KINDS)}, or give X,Y,SIZE in px, as 180,200,160"
        )
    left, top, side = map(float, numbers.groups())
    check_size("--window", side)
    if not (-side < left < WORLD_SIZE and -side < top < WORLD_SIZE):
        raise RenderError(
            f"--window {text} shows nothing of the world, which goes from 0 to {WORLD_SIZE} px; choose another"
        )
    return Window(left, top, side)


def check_size(option: str, side: float) -> None:
    """Raise RenderError unless a window may be `side` px wide."""
    low, high = SIZES
    if not low <= side <= high:
        raise RenderError(f"{option} {side:g} is not allowed; choose a size from {low:g} to {high:g} px")


def nice(distance: float) -> float:
    """The nearest of 1, 2 and 5 times a power of ten."""
    power = 10 ** np.floor(np.log10(distance))
    return float(power * min(NICE, key=lambda each: abs(np.log(each * power / distance))))


def make_windows(
    cache: EpisodeCache,
    methods: Sequence[str],
    window: str,
    size: float,
    steps: Sequence[int],
    boxes: Boxes | None = None,
) -> list[Window]:
    """The window of each of `steps`, the same for all methods: around the first density among them, else around the
    actions that the policy drew.

    window: as for `parse_window`. size: of a window that follows, and the least of one that fits [px]; both are larger
    where the density is. A step's window does not depend on which others are asked for. boxes: empty at first, for who asks
    for several windows of one cache and methods, since what they have in common is found once.
    """
    chosen = parse_window(window)
    if isinstance(chosen, Window):
        return [chosen] * len(steps)
    if chosen == "full":
        return [WHOLE] * len(steps)
    method = next((each for each in methods if cache.is_density(each)), methods[0])
    boxes = {} if boxes is None else boxes
    if chosen == "fit":
        corners = np.stack([_box(cache, method, step, boxes) for step in range(cache.steps)])
        low, high = corners[:, 0].min(axis=0) - ROOM, corners[:, 1].max(axis=0) + ROOM
        side = min(max(size, float((high - low).max())), float(WORLD_SIZE))
        return [_placed((low + high) / 2, side)] * len(steps)
    side = _size(cache, method, size, boxes)
    return _follow(cache, method, side, steps, boxes)


def _follow(cache: EpisodeCache, method: str, side: float, steps: Sequence[int], boxes: Boxes) -> list[Window]:
    reach = REACH // cache.every  # rows: a window moves in the time of the episode, however many steps were scored
    away = np.arange(-reach, reach + 1)
    near = np.array(steps, dtype=int)[:, None] + away
    there = (near >= 0) & (near < cache.steps)
    rows, index = np.unique(near.clip(0, cache.steps - 1), return_inverse=True)
    corners = np.stack([_box(cache, method, int(row), boxes) for row in rows])[index.reshape(near.shape)]
    # Forwards and backwards alike, so that the window is never behind.
    weight = there * np.exp(-0.5 * (away * cache.every / SMOOTH) ** 2)
    centre = (weight[:, :, None] * corners.mean(axis=2)).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    low, high = corners[:, reach, 0], corners[:, reach, 1]
    least, most = high + ROOM - side / 2, low - ROOM + side / 2  # between them, the box is in view
    kept = np.where(least <= most, np.clip(centre, least, np.maximum(most, least)), (low + high) / 2)
    return [_placed(each, side) for each in kept]


def _size(cache: EpisodeCache, method: str, least: float, boxes: Boxes) -> float:
    # One scale for the episode: what shows nine in ten of its steps.
    sampled = sorted({round(k) for k in np.linspace(0, cache.steps - 1, SAMPLED)})
    sides = [float(np.ptp(_box(cache, method, step, boxes), axis=0).max()) for step in sampled]
    wanted = AROUND * float(np.quantile(sides, 0.9))
    return min(max(least, 16.0 * float(np.ceil(wanted / 16))), float(WORLD_SIZE))


def _placed(centre: Array, side: float) -> Window:
    # Within the world and a little more.
    least, most = -BEYOND, WORLD_SIZE + BEYOND - side
    left, top = np.clip(centre - side / 2, least, most) if least <= most else ((least + most) / 2,) * 2
    return Window(float(left), float(top), side)


def _box(cache: EpisodeCache, method: str, step: int, boxes: Boxes) -> Array:
    # That of a step, found once.
    if step not in boxes:
        boxes[step] = _find_box(cache, method, step)
    return boxes[step]


def _find_box(cache: EpisodeCache, method: str, step: int) -> Array:
    """(2, 2) px: the corner of least and that of largest x and y of what a window shows at a step.

    For a density, the central 98 % of x and of y, so at least 96 % of the mass; else the actions that the policy drew.
    """
    if not cache.is_density(method):
        drawn = cache.predicted_chunks[step, :, cache.current].astype(float)
        return np.stack([drawn.min(axis=0), drawn.max(axis=0)])
    scores = cache.score(method, step)
    mass = np.exp(scores - scores.max())
    edges = np.linspace(0, WORLD_SIZE, cache.grid.resolution + 1)
    corners = []
    for axis in (0, 1):  # summed over y, then over x
        below = np.concatenate([[0.0], np.cumsum(mass.sum(axis=axis), dtype=float)])
        corners.append(np.interp([TAILS, 1 - TAILS], below / below[-1], edges))
    return np.array(corners).T
