"""What is asked for besides the looks: which methods and videos, of which kind, and whether they can be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlrender.errors import RenderError
from dlrender.frames.axes import width_of
from dlrender.frames.encode import GIF_RATE, KINDS, PIXEL_FORMATS
from dlrender.style.style import Style
from dlscore.cache.reader import EpisodeCache, open_cache
from dlscore.common.choices import check_choice

RATES = (0.1, 240.0)  # frames/s; the encoder takes another rate for 0 without a word
WIDEST = 16_382  # px that the encoders take
VIDEOS = ("environment", "heatmaps", "combined")


@dataclass(frozen=True)
class Output:
    """The options of `dlrender render`. methods: () for the file's own choice; fps: None for the episode's."""

    methods: tuple[str, ...] = ()
    videos: tuple[str, ...] = VIDEOS
    folder: Path = Path("outputs")
    fps: float | None = None
    format: str = "mp4"
    pix_fmt: str | None = None
    force: bool = False
    jobs: int = 1


def pick_methods(episode: EpisodeCache, wanted: Sequence[str]) -> tuple[str, ...]:
    """The methods to draw: those asked for, else the only one there is, else the likelihood."""
    if len(set(wanted)) != len(wanted):
        raise RenderError(f"--scoring-method {','.join(wanted)} names one twice; leave it out")
    if wanted:
        methods = tuple(wanted)
    elif len(episode.methods) == 1:
        methods = episode.methods
    elif "likelihood" in episode.methods:
        methods = ("likelihood",)
    else:
        raise RenderError(f"{episode.path} holds {', '.join(episode.methods)}; choose with --scoring-method")
    for method in methods:
        episode.score_attrs(method)  # raises a CacheError that names the methods
    return methods


def pick_fps(episode: EpisodeCache, wanted: float | None) -> float:
    """Frames per second of the videos: those asked for, else the episode's own."""
    fps, low, high = float(episode.attrs["fps"]) if wanted is None else wanted, *RATES
    if not low <= fps <= high:
        named = f"{episode.path} has fps {fps:g}, which" if wanted is None else f"--fps {fps:g}"
        raise RenderError(f"{named} is not allowed; choose --fps from {low:g} to {high:g}")
    return fps


def video_names(episode: EpisodeCache, methods: Sequence[str], output: Output) -> dict[str, Path]:
    """The videos of an episode in the order in which they are made: `environment`, each method's name, `combined`."""
    stem = output.folder / f"episode_{episode.episode}"
    suffix = "" if output.format == "png" else f".{output.format}"  # png: a folder
    names = {"environment": f"{stem}_environment{suffix}"} if "environment" in output.videos else {}
    if "heatmaps" in output.videos:
        names |= {method: f"{stem}_heatmaps_{method}{suffix}" for method in methods}
    if "combined" in output.videos:
        names["combined"] = f"{stem}_combined_{'+'.join(methods)}{suffix}"
    return {what: Path(name) for what, name in names.items()}


def newer_videos(names: Mapping[str, Path], cache: Path, style: Style, output: Output) -> tuple[list[Path], list[Path]]:
    """The videos that are there and not older than the cache: those that are left as they are, and those that are refused.

    A clean environment is the same for all methods: beside other videos it is left. With `output.force` there is none.
    """
    there = {
        what: name
        for what, name in names.items()
        if not output.force and name.exists() and name.stat().st_mtime >= cache.stat().st_mtime
    }
    clean = len(names) > 1 and not style.drawn("environment")
    left = [name for what, name in there.items() if what == "environment" and clean]
    return left, [name for name in there.values() if name not in left]


def refuse_newer(names: Mapping[str, Path], cache: Path, style: Style, output: Output) -> list[Path]:
    """Raise RenderError where a video would be drawn over one that is not older than the cache; the videos that are left."""
    left, refused = newer_videos(names, cache, style, output)
    if refused:
        raise RenderError(f"{refused[0]} is there and not older than {cache}; --force draws it again")
    return left


def check_output(files: Sequence[Path], style: Style, output: Output) -> None:
    """Raise for whatever is wrong with the files or the options, before anything is written."""
    if output.jobs < 1:
        raise RenderError(f"--jobs {output.jobs} is not allowed; choose 1 or more")
    check_choice("--format", output.format, KINDS, RenderError)
    for name in output.videos:
        check_choice("--videos", name, VIDEOS, RenderError)
    if output.pix_fmt is not None and (output.format != "mp4" or output.pix_fmt not in PIXEL_FORMATS):
        raise RenderError(
            f"--pix-fmt {output.pix_fmt} is not allowed with --format {output.format}; choose from "
            f"{', '.join(PIXEL_FORMATS)}, for mp4"
        )
    drawn: dict[int, Path] = {}
    for file in files:
        with open_cache(file) as episode:
            methods, fps = pick_methods(episode, output.methods), pick_fps(episode, output.fps)
            width = style.target_height + len(methods) * width_of(style, style.target_height)
            if "combined" in output.videos and output.format != "png" and width > WIDEST:
                raise RenderError(
                    f"a combined video of {', '.join(methods)} would be {width} px wide, and {WIDEST} is the most; lower "
                    "--target-height, or name fewer methods"
                )
            refuse_newer(video_names(episode, methods, output), file, style, output)
            if output.format == "gif" and fps > GIF_RATE:
                raise RenderError(f"gif shows at most {GIF_RATE:g} frames/s; choose --fps, {fps:g} is asked for")
            other = drawn.setdefault(episode.episode, file)
        if other is not file:
            raise RenderError(
                f"{other} and {file} are both of episode {episode.episode}, and their videos would have one name; draw "
                "them into two --output-dir"
            )
