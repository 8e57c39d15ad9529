"""The videos and the config of an episode, made in one pass over its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.drawing import draw_steps
from dlrender.errors import RenderError
from dlrender.existing import videos_to_draw
from dlrender.frames.encode import PngWriter, Writer, make_palette, video
from dlrender.frames.frame import hstack
from dlrender.metadata import describe_render, note_of, write_config
from dlrender.output import Output, pick_fps, pick_methods
from dlrender.scene import Norms, Scene
from dlrender.style.style import Style
from dlscore.cache import open_cache
from dlscore.common.files import check_writable

Progress = Callable[[int, int], None]


def global_norms(files: Sequence[Path], style: Style, output: Output) -> Norms:
    """The norm of each method over all files if the norm is "global"; else {}."""
    if style.norm != "global":
        return {}
    with ExitStack() as stack:
        caches = [stack.enter_context(open_cache(file)) for file in files]
        methods = {pick_methods(cache, output.methods) for cache in caches}
        if len(methods) != 1:
            named = ", ".join(sorted("+".join(each) for each in methods))
            raise RenderError(
                f"--norm global needs the same methods in all files, not {named}; choose with --scoring-method"
            )
        return {method: style.make_norm(caches, method) for method in methods.pop()}


def render_episode(
    file: Path,
    style: Style,
    output: Output,
    *,
    norms: Norms | None = None,
    progress: Progress = lambda done, steps: None,
) -> list[Path]:
    """Make the videos and the config of one episode; the paths written.

    norms: by method, for scales that are shared with other episodes. A video that is up to date is kept; unless
    `output.force`, a file that dlrender did not make raises RenderError.
    """
    with open_cache(file) as cache, style.active(), ExitStack() as stack:
        methods, fps = pick_methods(cache, output.methods), pick_fps(cache, output.fps)
        names = videos_to_draw(cache, methods, style, output)
        if not names:
            return []
        check_writable(output.folder, RenderError)
        scene = Scene(cache, methods, style, norms or {}, names)
        described = describe_render(cache, methods, style, list(names.values()), output, output.provenance)
        note = note_of(cache, described, methods)
        palettes = _palettes(scene) if output.format == "gif" else {}
        writers: dict[str, Writer | PngWriter] = {
            panel: stack.enter_context(
                video(name, scene.widths[panel], style.target_height, fps, note, pixels=output.pix_fmt,
                      palette=palettes.get(panel))
            )
            for panel, name in names.items()
        }  # fmt: skip
        kinds = {panel: writer.kind for panel, writer in writers.items()}
        steps = stack.enter_context(closing(draw_steps(scene, kinds, output.jobs)))
        for step, pictures in enumerate(steps):
            for panel, writer in writers.items():
                writer.append(pictures[panel])
            progress(step + 1, cache.steps)
        stack.close()  # the config lists videos that exist
        config = output.folder / f"episode_{cache.episode}_config.json"
        write_config(config, described, methods)
        return [*names.values(), config]


def _palettes(scene: Scene) -> dict[str, Any]:
    # One palette per video, from steps over the whole episode, so that no colour jumps from frame to frame.
    samples: dict[str, list[Any]] = {}
    for step in sorted({round(k) for k in np.linspace(0, scene.cache.steps - 1, 8)}):
        for panel, frames in scene.render(step).items():
            samples.setdefault(panel, []).append(hstack(frames))
    return {panel: make_palette(frames) for panel, frames in samples.items()}
