"""The environment: its shapes under the scores, and outlines of the block, the goal and the agent over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.image import AxesImage
from matplotlib.path import Path

from dlrender.errors import RenderError
from dlrender.overlays.artists import HaloLines, line_handle, place
from dlrender.overlays.base import Overlay, StepView
from dlrender.overlays.contrast import halo_color, on_ground
from dlrender.overlays.fills import Fills
from dlrender.overlays.text_artist import MARGIN, Label, box_height
from dlrender.window import WHOLE, Window, nice
from dlscore.cache import EpisodeCache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_choice
from dlscore.common.world import AGENT_RADIUS, BLOCK_OUTLINE, GOAL_POSE

LOOKS = ("shapes", "picture")
# As gym-pusht paints them: the block is two bars with an edge, 2 px on each side of their outline.
GOAL, BLOCK, BLOCK_EDGE, AGENT, AGENT_EDGE = "#90ee90", "#8fa3b8", "#778899", "#4e7eff", "#4169e1"
BARS = ((-60.0, 0.0, 60.0, 30.0), (-15.0, 30.0, 15.0, 120.0))  # left, top, right, bottom [px]
BAR = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
EDGE = 2.0  # px
WALL, WALLS, HALF = "#d3d3d3", (5.5, 506.5), 2.5  # colour, places [px], half of the thickness [px]
INNER_RADIUS = 11.0  # px, of the agent's disc without its edge


@dataclass(frozen=True, kw_only=True)
class World(Overlay):
    """Goal, block and agent under the colours of a heatmap: as shapes, or as the environment's own picture.

    alpha: how much of their colours is left on the background of the axes.
    """

    UNDER: ClassVar[bool] = True

    look: str = "shapes"
    alpha: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("look", self.look, LOOKS, RenderError)

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        if self.look == "picture":
            ground = 255 * np.array(to_rgb(axes.get_facecolor()))
            image = AxesImage(axes, extent=WHOLE.extent, origin="upper", interpolation="bilinear")
            frame = on_ground(view.cache.frame(view.step), axes.get_facecolor())
            image.set_data((ground * (1 - self.alpha) + self.alpha * frame + 0.5).astype(np.uint8))
            return [image]
        shapes = things_of(view.cache.state[view.step])
        return [filled(shapes if _is_within(view.window) else [*walls(), *shapes], axes, self.alpha)]


class Environment(AxesImage):
    """The environment at a step: its picture in Agg, the same shapes as paths in pdf and svg."""

    def __init__(self, axes: Axes, view: StepView) -> None:
        super().__init__(axes, extent=WHOLE.extent, origin="upper")
        self.set_data(on_ground(view.cache.frame(view.step), axes.get_facecolor()))
        self.shapes = place(axes, filled([*walls(), *things_of(view.cache.state[view.step])], axes))

    def draw(self, renderer: Any) -> None:
        if isinstance(renderer, RendererAgg):
            super().draw(renderer)
        elif self.get_visible():
            self.shapes.draw(renderer)

    def can_composite(self) -> bool:
        """No: matplotlib would make one picture of it and the next."""
        return False


def filled(shapes: Sequence[tuple[Path, str]], axes: Axes, alpha: float = 1.0) -> Fills:
    """Shapes of the environment on the ground of the axes, of which 1 - alpha shows through."""
    colors = _mixed(tuple(color for _, color in shapes), tuple(to_rgb(axes.get_facecolor())), alpha)
    return Fills([path for path, _ in shapes], colors)


def things_of(state: Array) -> list[tuple[Path, str]]:
    """Goal, block and agent in a state (5,), with their colours, from the lowest up."""
    return [*_goal(), *block_shapes(state[2:], BLOCK, BLOCK_EDGE), *agent_shapes(state[:2])]


@lru_cache(maxsize=1)
def _goal() -> list[tuple[Path, str]]:
    return block_shapes(GOAL_POSE, GOAL)


def _is_within(window: Window) -> bool:
    # Whether no wall is in it.
    low, high = WALLS
    inner = low + HALF, high - HALF
    return all(inner[0] <= each and each + window.side <= inner[1] for each in (window.left, window.top))


@lru_cache(maxsize=1)
def walls() -> list[tuple[Path, str]]:
    """The four walls, which gym-pusht paints 5 px thick about 5 and 506 px."""
    low, high = WALLS
    boxes = [(near - HALF, low - HALF, near + HALF, high + HALF) for near in WALLS]
    boxes += [(low - HALF, near - HALF, high + HALF, near + HALF) for near in WALLS]
    return [(Path(_bar(box, 0.0)), WALL) for box in boxes]


@lru_cache(maxsize=16)
def _mixed(colors: tuple[str, ...], ground: tuple[float, ...], alpha: float) -> list[tuple[float, ...]]:
    # RGBA of colours of the environment on a ground, which shows through.
    rgb = (255 * np.array([to_rgb(color) for color in colors]) + 0.5).astype(np.uint8)
    mixed = 255 * np.array(ground) * (1 - alpha) + alpha * on_ground(rgb, ground)
    return [(*map(float, each / 255), 1.0) for each in mixed]


def block_shapes(pose: Array, color: str, edge: str | None = None) -> list[tuple[Path, str]]:
    """The T block at a pose (3,) [px, px, rad], with its colours, from the lowest up."""
    layers = [(color, 0.0)] if edge is None else [(edge, EDGE), (color, -EDGE)]
    return [(_bars(pose, wider), shade) for shade, wider in layers]


def _bars(pose: Array, wider: float) -> Path:
    # One path of both bars, between which there would else be a seam.
    corners = np.concatenate([_bar(bar, wider) for bar in BARS])
    return Path(_turned(corners, pose), BAR * len(BARS))


def agent_shapes(place: Array) -> list[tuple[Path, str]]:
    """The agent's disc at a place (2,) [px], with its colours, from the lowest up."""
    circle = Path.unit_circle()  # one for all; a circle of matplotlib's own makes eight arrays
    return [
        (Path(place + radius * np.asarray(circle.vertices), circle.codes), color)
        for radius, color in ((AGENT_RADIUS, AGENT_EDGE), (INNER_RADIUS, AGENT))
    ]


def _bar(bar: tuple[float, float, float, float], wider: float) -> Array:
    left, top, right, bottom = bar
    left, top, right, bottom = left - wider, top - wider, right + wider, bottom + wider
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])


def _turned(points: Array, pose: Array) -> Array:
    # From the block's own coordinates to the world's.
    x, y, angle = pose
    c, s = np.cos(angle), np.sin(angle)
    turned: Array = points @ np.array([[c, s], [-s, c]]) + (x, y)
    return turned


@dataclass(frozen=True, kw_only=True)
class Scale(Overlay):
    """A bar of a round length in px, in a window that is not the whole world."""

    linewidth: float = 1.6
    edge: float = 1.6
    fontsize: float = 7.5
    color: str = "#202020"
    alpha: float = 0.6

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        if view.window.is_whole:
            return []
        _, right, bottom, _ = view.window.extent
        side, length = view.window.side, nice(view.window.side / 5)
        point = side / (axes.bbox.height * 72 / axes.figure.dpi)  # px of the world
        x, y = right - MARGIN * point, bottom - (MARGIN + box_height(self.fontsize) + MARGIN / 2) * point
        ends = np.array([(x - length, y), (x, y)])
        bar = HaloLines([Path(ends)], self.color, self.linewidth, self.edge)
        text = Label(f"{length:g} px", "lower right", self.fontsize, self.color, self.alpha, halo_color(self.color))
        return [bar, text]


@dataclass(frozen=True, kw_only=True)
class Outline(Overlay):
    """A closed outline."""

    linewidth: float = 1.2
    color: str = "white"
    edge: float = 1.2
    alpha: float = 0.9
    label: str = ""

    def corners(self, state: Array) -> Array:
        """(K, 2) px of the outline in a state (5,)."""
        raise NotImplementedError

    def draw(self, axes: Axes, view: StepView) -> Sequence[Artist]:
        corners = self.corners(view.cache.state[view.step])
        path = Path(np.vstack([corners, corners[:1]]), closed=True)
        return [HaloLines([path], self.color, self.linewidth, self.edge, self.alpha)]

    def legend(self, cache: EpisodeCache, method: str) -> Sequence[Artist]:
        return [line_handle(self.label, color=self.color, linewidth=self.linewidth, edge=self.edge)]


@dataclass(frozen=True, kw_only=True)
class Block(Outline):
    """The outline of the T block."""

    color: str = "#c9d3df"
    label: str = "block"

    def corners(self, state: Array) -> Array:
        return _turned(BLOCK_OUTLINE, state[2:])


@dataclass(frozen=True, kw_only=True)
class Goal(Outline):
    """The outline of the goal."""

    color: str = "#7ddc7d"
    label: str = "goal"

    def corners(self, state: Array) -> Array:
        return _turned(BLOCK_OUTLINE, GOAL_POSE)


@dataclass(frozen=True, kw_only=True)
class Agent(Outline):
    """The outline of the agent's disc."""

    color: str = "#8fb0ff"
    label: str = "agent"

    def corners(self, state: Array) -> Array:
        turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        ring: Array = state[:2] + AGENT_RADIUS * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return ring
