"""The videos and the config of an episode, in one pass over its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.colors import Norm
from dlrender.errors import RenderError
from dlrender.frames import panels
from dlrender.frames.encode import PngWriter, Writer, make_palette, video
from dlrender.frames.frame import Frame, hstack
from dlrender.metadata import describe_render, write_config
from dlrender.output import Output, newer_videos, pick_fps, pick_methods, refuse_newer, video_names
from dlrender.style.style import Style
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.common.files import check_writable

Norms = Mapping[str, Norm]
Progress = Callable[[int, int], None]


def global_norms(files: Sequence[Path], style: Style, output: Output) -> Norms:
    """The norm of each method that all files share under --norm global; else none."""
    if style.norm != "global":
        return {}
    with ExitStack() as stack:
        episodes = [stack.enter_context(open_cache(file)) for file in files]
        methods = {pick_methods(episode, output.methods) for episode in episodes}
        if len(methods) != 1:
            named = ", ".join(sorted("+".join(each) for each in methods))
            raise RenderError(f"--norm global over different methods ({named}); choose --scoring-method")
        return {method: style.make_norm(episodes, method) for method in methods.pop()}


class Scene:
    """The panels of an episode, and what they show at each step; without `heatmaps` the environment alone."""

    def __init__(
        self, episode: EpisodeCache, methods: Sequence[str], style: Style, norms: Norms, heatmaps: bool = True
    ) -> None:
        self.episode, self.style, height = episode, style, style.target_height
        made = {} if style.alone else {method: style.make_norm([episode], method) for method in methods}
        self.norms = {method: norms.get(method) or made.get(method) for method in methods}
        self.world = panels.EnvironmentPanel(style, height)
        self.heatmaps = {
            method: panels.HeatmapPanel(episode, method, norm, style, height)
            for method, norm in self.norms.items()
            if heatmaps
        }

    @property
    def widths(self) -> dict[str, int]:
        """Width [px] of the environment, each method's heatmap, and all side by side."""
        each = {"environment": self.world.height, **{name: panel.width for name, panel in self.heatmaps.items()}}
        return {**each, "combined": sum(each.values())}

    def draw(self, step: int) -> dict[str, list[Frame]]:
        """The pictures, from left to right, of the same names."""
        views = [panels.view_step(self.episode, step, name, norm, self.style) for name, norm in self.norms.items()]
        world = self.world.draw(views[0])
        drawn = {view.method: self.heatmaps[view.method].draw(view) for view in views if self.heatmaps}
        alone = {"environment": world, **drawn}
        return {**{name: [picture] for name, picture in alone.items()}, "combined": list(alone.values())}


def render_episode(
    file: Path,
    style: Style,
    output: Output,
    *,
    norms: Norms | None = None,
    progress: Progress = lambda done, steps: None,
) -> list[Path]:
    """The videos and the config of one episode, in one pass; the paths that were written.

    norms: of methods whose colours are shared with other episodes. Without `output.force`, RenderError where a video is
    there already and is not older than the cache.
    """
    with open_cache(file) as episode, style.active(), ExitStack() as stack:
        methods, fps = pick_methods(episode, output.methods), pick_fps(episode, output.fps)
        names = video_names(episode, methods, output)
        left = refuse_newer(names, file, style, output)
        names = {what: name for what, name in names.items() if name not in left}
        check_writable(output.folder, RenderError)
        scene = Scene(episode, methods, style, norms or {}, heatmaps=output.videos != ("environment",))
        described = describe_render(episode, methods, style, list(names.values()), output)
        title = f"episode {episode.episode}, {', '.join(methods)}"
        note = {"title": title, **described["run"], **described["style"]}
        palettes = _palettes(scene) if output.format == "gif" else {}
        writers: dict[str, Writer | PngWriter] = {
            what: stack.enter_context(
                video(name, scene.widths[what], style.target_height, fps, note, pixels=output.pix_fmt,
                      palette=palettes.get(what))
            )
            for what, name in names.items()
        }  # fmt: skip
        for step in range(episode.steps):
            pictures = scene.draw(step)
            for what, writer in writers.items():
                writer.write(*pictures[what])
            progress(step + 1, episode.steps)
        stack.close()  # the videos have their names before the config tells of them
        config = output.folder / f"episode_{episode.episode}_config.json"
        write_config(config, described, methods)
        return [*names.values(), config]


def plan(files: Sequence[Path], style: Style, output: Output) -> Iterator[dict[str, Any]]:
    """What `render_episode` would do with each video of the files: {"path", "cache", "state"}, the state a sentence's end."""
    for file in files:
        with open_cache(file) as episode:
            names = video_names(episode, pick_methods(episode, output.methods), output)
        left, refused = newer_videos(names, file, style, output)
        for name in names.values():
            state = "would be made again" if name.exists() else "would be made"
            if name in left:
                state = "is there, and not older than the cache: would be left"
            if name in refused:
                state = "is there, and not older than the cache: needs --force"
            yield {"path": str(name), "cache": str(file), "state": state}


def _palettes(scene: Scene) -> dict[str, Any]:
    # One for each video, from steps over the whole of it, so that no colour jumps from frame to frame.
    frames: dict[str, list[Any]] = {}
    for step in sorted({round(k) for k in np.linspace(0, scene.episode.steps - 1, 8)}):
        for what, pictures in scene.draw(step).items():
            frames.setdefault(what, []).append(hstack(pictures))
    return {what: make_palette(several) for what, several in frames.items()}
