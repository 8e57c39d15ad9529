"""The style of a picture, and the videos and the config of an episode."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlrender import panels
from dlrender.errors import RenderError
from dlrender.heatmap import Limits, Norm, colour_table, make_norm
from dlrender.overlays import OVERLAYS, Arrow, Overlay
from dlrender.video import GIF_RATE, KINDS, PIXEL_FORMATS, make_palette, video, whole_file
from dlscore import __version__
from dlscore.cache import EpisodeCache, largest_drift, read_episode
from dlscore.folders import check_writable

RATES = (0.1, 240.0)  # frames/s; the encoder takes another rate for 0 without a word


@dataclass(frozen=True)
class Style:
    """What a picture looks like. `overlays` names entries of OVERLAYS; None for `fps` is the episode's own rate."""

    scoring_method: str | None = None
    colormap: str = "viridis"
    norm: str = "episode"
    range_nats: float = 10.0
    overlays: tuple[str, ...] = ("trace", "arrow", "prediction", "expert")
    target_height: int = 480
    fps: float | None = None
    limits: Limits = field(default_factory=Limits)
    format: str = "mp4"
    pix_fmt: str | None = None

    def make_overlays(self, scale: float = 1.0) -> list[Overlay]:
        """The overlays in the order in which they are drawn, with sizes and widths `scale` times their own."""
        made = [kind() for name, kind in OVERLAYS.items() if name in self.overlays]
        if "expert" not in self.overlays:  # no cross to hide the arrow's head: it goes all the way
            made = [replace(overlay, gap=0.0) if isinstance(overlay, Arrow) else overlay for overlay in made]
        return [_scaled(overlay, scale) for overlay in made]


def _scaled(overlay: Any, scale: float) -> Overlay:
    lengths = {
        name: getattr(overlay, name) * scale for name in ("size", "edge", "linewidth", "gap") if hasattr(overlay, name)
    }
    scaled: Overlay = replace(overlay, **lengths)
    return scaled


def pick_method(episode: EpisodeCache, wanted: str | None) -> str:
    """The method to draw: the one asked for, else the only one there is, else the likelihood.

    Raises RenderError where the file lacks an attribute without which it cannot be drawn.
    """
    if wanted is not None:
        method = wanted
    elif len(episode.methods) == 1:
        method = episode.methods[0]
    elif "likelihood" in episode.methods:
        method = "likelihood"
    else:
        raise RenderError(f"{episode.path} holds {', '.join(episode.methods)}; choose one with --scoring-method")
    scores = episode.score_attrs(method)  # raises a CacheError that names the methods
    missing = [name for name in ("episode", "fps") if name not in episode.attrs]
    missing += [f"{name} of scores/{method}" for name in ("kind", "units") if name not in scores]
    if missing:
        raise RenderError(f"{episode.path} lacks the attribute {', '.join(missing)}; compute it again")
    return method


def pick_fps(episode: EpisodeCache, wanted: float | None) -> float:
    """Frames per second of the videos: those asked for, else the episode's own."""
    fps, low, high = float(episode.attrs["fps"]) if wanted is None else wanted, *RATES
    if not low <= fps <= high:
        named = f"{episode.path} has fps {fps:g}, which" if wanted is None else f"--fps {fps:g}"
        raise RenderError(f"{named} is not allowed; choose --fps from {low:g} to {high:g}")
    return fps


def check(files: Sequence[Path], style: Style) -> None:
    """Raise for whatever is wrong with the files or the style, before anything is written."""
    if style.format not in KINDS:
        raise RenderError(f"--format {style.format} does not exist; choose from {', '.join(KINDS)}")
    if style.pix_fmt is not None and (style.format != "mp4" or style.pix_fmt not in PIXEL_FORMATS):
        raise RenderError(
            f"--pix-fmt {style.pix_fmt} is not allowed with --format {style.format}; choose from "
            f"{', '.join(PIXEL_FORMATS)}, for mp4"
        )
    panels.check_height(style.target_height)
    colour_table(style.colormap)
    make_norm(style.norm, [], "", style.range_nats, limits=style.limits)
    drawn: dict[int, Path] = {}
    for file in files:
        with read_episode(file) as episode:
            pick_method(episode, style.scoring_method)
            fps = pick_fps(episode, style.fps)
            if style.format == "gif" and fps > GIF_RATE:
                raise RenderError(f"gif shows at most {GIF_RATE:g} frames/s; choose --fps, {fps:g} is asked for")
            other = drawn.setdefault(episode.episode, file)
        if other is not file:
            raise RenderError(
                f"{other} and {file} are both of episode {episode.episode}, and their videos would have one name; draw "
                "them into two --output-dir"
            )


def global_norm(files: Sequence[Path], style: Style) -> Norm | None:
    """The norm that all files share under --norm global, else None."""
    if style.norm != "global":
        return None
    with ExitStack() as stack:
        episodes = [stack.enter_context(read_episode(file)) for file in files]
        methods = {pick_method(episode, style.scoring_method) for episode in episodes}
        if len(methods) != 1:
            raise RenderError(
                f"--norm global over different methods ({', '.join(sorted(methods))}); choose --scoring-method"
            )
        return make_norm("global", episodes, methods.pop(), style.range_nats, limits=style.limits)


def render_episode(
    file: Path,
    style: Style,
    folder: Path,
    *,
    shared: Norm | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, steps: None,
) -> list[Path]:
    """Environment, heatmap and combined video and config of one episode, in one pass; the paths that were written.

    Without `force`, RenderError where a video is there already and is not older than the cache.
    """
    with read_episode(file) as episode:
        method, fps = pick_method(episode, style.scoring_method), pick_fps(episode, style.fps)
        stem = folder / f"episode_{episode.episode}"
        suffix = "" if style.format == "png" else f".{style.format}"  # png: a folder
        names = [Path(f"{stem}_{what}{suffix}") for what in ("environment", f"heatmaps_{method}", f"combined_{method}")]
        newer = [name for name in names[1:] if name.exists() and name.stat().st_mtime >= file.stat().st_mtime]
        if newer and not force:
            raise RenderError(f"{newer[0]} is there and not older than {file}; --force draws it again")
        check_writable(folder, RenderError)
        norm = shared or (
            None
            if style.norm == "frame"
            else make_norm(style.norm, [episode], method, style.range_nats, limits=style.limits)
        )
        height = style.target_height
        panel = panels.HeatmapPanel(
            episode,
            method,
            colormap=style.colormap,
            norm=norm,
            range_nats=style.range_nats,
            limits=style.limits,
            overlays=style.make_overlays(),
            height=height,
        )
        world = panels.EnvironmentPanel(episode, height)
        described = describe(episode, method, style, names)
        note = {"title": f"episode {episode.episode}, {method}", **described["run"], **described["style"]}
        with ExitStack() as stack:
            widths = (height, panel.width, height + panel.width)
            palettes = _palettes(world, panel) if style.format == "gif" else (None, None, None)
            environment, heatmap, combined = (
                stack.enter_context(video(name, width, height, fps, note, pixels=style.pix_fmt, palette=palette))
                for name, width, palette in zip(names, widths, palettes, strict=True)
            )
            for step in range(episode.steps):
                left, right = world.draw(step), panel.draw(step)
                environment.write(left)
                heatmap.write(right)
                combined.write(left, right)
                progress(step + 1, episode.steps)
        config = Path(f"{stem}_config.json")
        _write_config(config, described, method)
        return [*names, config]


def _palettes(world: panels.EnvironmentPanel, panel: panels.HeatmapPanel) -> tuple[Any, Any, Any]:
    # One for each video, from steps over the whole of it, so that no colour jumps from frame to frame.
    steps = sorted({round(k) for k in np.linspace(0, panel.episode.steps - 1, 8)})
    left, right = [world.draw(k).copy() for k in steps], [panel.draw(k).copy() for k in steps]
    both = [panels.combined_frame(a, b) for a, b in zip(left, right, strict=True)]
    return make_palette(left), make_palette(right), make_palette(both)


def describe(episode: EpisodeCache, method: str, style: Style, names: Sequence[Path]) -> dict[str, Any]:
    """Who made the scores and how they are drawn, for the config, and for what a video or a still says of itself."""
    run: dict[str, Any] = {
        name: episode.attrs[name]
        for name in ("episode", "policy", "policy_revision", "dataset", "dataset_revision", "seed", "key", "versions",
                     "git_revision", "identity", "pose_source", "predicted_action_is", "created_at")
        if name in episode.attrs
    }  # fmt: skip
    run["largest_drift"] = largest_drift(episode)
    return {
        "run": {**run, "cache": str(episode.path), "steps": episode.steps, "resolution": episode.grid.resolution},
        "score": episode.score_attrs(method),
        "style": {**asdict(style), "scoring_method": method, "dlrender": __version__},
        "files": [name.name for name in names],
    }


def _write_config(path: Path, described: dict[str, Any], method: str) -> None:
    # Methods of one run share the file; those of another run are not kept beside it.
    renders = {}
    if path.is_file():
        try:
            before = json.loads(path.read_text())
            if before["run"].get("key") == described["run"].get("key"):
                renders = before["renders"]
        except (ValueError, KeyError, TypeError, AttributeError):
            renders = {}
    renders[method] = {name: described[name] for name in ("score", "style", "files")}
    with whole_file(path) as part:
        part.write_text(json.dumps({"run": described["run"], "renders": renders}, indent=2, sort_keys=True) + "\n")
