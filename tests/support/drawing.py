"""What the tests of dlrender share."""

from collections.abc import Sequence
from dataclasses import replace

from dlrender.colors import Norm
from dlrender.frames.panels import EnvironmentPanel, HeatmapPanel, view_step
from dlrender.overlays import OVERLAYS, StepView
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache

# The scores alone, of the whole world.
PLAIN = Style(overlays=(), window="full", heat="opaque")


def with_overlays(*names: str, **looks: object) -> Style:
    """A style with these overlays, or all of them under the name "all"; `looks` change the first."""
    style = replace(PLAIN, overlays=tuple(OVERLAYS) if names == ("all",) else names)
    return (
        replace(style, overlay={**style.overlay, names[0]: replace(style.overlay[names[0]], **looks)})
        if looks
        else style
    )


def make_panel(episode: EpisodeCache, method="likelihood", style=PLAIN, height=480) -> HeatmapPanel:
    return HeatmapPanel(episode, method, norm_of(episode, method, style), style, height)


def norm_of(episode: EpisodeCache, method: str, style: Style) -> Norm | None:
    return None if style.per_frame else style.make_norm([episode], method)


def at(episode: EpisodeCache, step: int, method="likelihood", style=PLAIN, window=None) -> StepView:
    return view_step(episode, step, method, norm_of(episode, method, style), style, window)


def heatmap(episode: EpisodeCache, step: int, method="likelihood", style=PLAIN, height=480):
    """(H, W, 3) uint8 RGB of one step's heatmap."""
    with style.active():
        return (
            make_panel(episode, method, style, height).render(at(episode, step, method, style)).pixels[..., :3].copy()
        )


def environment(episode: EpisodeCache, step: int, style=PLAIN, height=480, beside=False):
    """(H, H, 3) uint8 RGB of one step's environment, or (H, W, 3) of the one beside heatmaps."""
    with style.active():
        return EnvironmentPanel(style, height, beside).render(at(episode, step, style=style)).pixels[..., :3].copy()


def artists(episode: EpisodeCache, overlay, step=3, method="likelihood", style: Style = PLAIN) -> Sequence:
    """What one overlay draws at a step."""
    return overlay.draw(make_panel(episode, method).axes, at(episode, step, method, style))
