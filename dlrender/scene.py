"""The panels of an episode, and the frames of its steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dlrender.colors import Norm
from dlrender.frames import panels
from dlrender.frames.frame import Frame
from dlrender.frames.shared import SharedLegend
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache

Norms = Mapping[str, Norm]


class Scene:
    """The panels of an episode's videos; `videos` are names as of `widths`, None for all."""

    def __init__(
        self,
        cache: EpisodeCache,
        methods: Sequence[str],
        style: Style,
        norms: Norms,
        videos: Collection[str] | None = None,
    ) -> None:
        self.cache, self.style, height = cache, style, style.target_height
        self.videos = {"environment", *methods, "combined"} if videos is None else set(videos)
        self.norms = {
            method: norms.get(method) or (None if style.per_frame else style.make_norm([cache], method))
            for method in methods
        }
        self.windows = style.make_windows(cache, methods, range(cache.steps))
        combined = "combined" in self.videos
        self.world = panels.EnvironmentPanel(style, height) if "environment" in self.videos else None
        self.beside = panels.EnvironmentPanel(style, height, beside=True) if combined else None
        self.heatmaps = {
            method: panels.HeatmapPanel(cache, method, norm, style, height)
            for method, norm in self.norms.items()
            if combined or method in self.videos
        }
        self.shared = None
        if combined and len(self.heatmaps) > 1 and style.layout.legend:
            self.shared = SharedLegend(cache, self.norms, style, None if style.window == "follow" else self.windows[0])

    @property
    def widths(self) -> dict[str, int]:
        """Width [px] of each video: the environment, each method's heatmap, and all side by side."""
        widths = {name: panel.width for name, panel in self.heatmaps.items() if name in self.videos}
        if self.world is not None:
            widths["environment"] = self.world.width
        if self.beside is not None:
            widths["combined"] = self.beside.width + sum(panel.width for panel in self.heatmaps.values())
        return widths

    def forget(self) -> None:
        """Draw the next frames whole, so that they and those after them do not depend on what was drawn before."""
        for panel in (self.world, self.beside, self.shared):
            if panel is not None:
                panel.forget()
        for heatmap in self.heatmaps.values():
            heatmap.forget()

    def render(self, step: int) -> dict[str, list[Frame]]:
        """The frames of one step, from left to right, by the names of `widths`."""
        window = self.windows[step]
        views = [
            panels.view_step(self.cache, step, name, norm, self.style, window) for name, norm in self.norms.items()
        ]
        heatmaps = {
            view.method: self.heatmaps[view.method].render(view) for view in views if view.method in self.heatmaps
        }
        frames = {name: [frame] for name, frame in heatmaps.items() if name in self.videos}
        if self.world is not None:
            frames["environment"] = [self.world.render(views[0])]
        if self.beside is not None:
            if self.shared is not None:
                heatmaps = {name: self.shared.frame(name, frame) for name, frame in heatmaps.items()}
            frames["combined"] = [self.beside.render(views[0]), *heatmaps.values()]
        return frames
