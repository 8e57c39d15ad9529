"""What to draw besides the style: methods, videos, format and folder, and the checks of all that before drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlrender.errors import RenderError
from dlrender.frames.axes import environment_width, width_of
from dlrender.frames.encode import GIF_RATE, KINDS, PIXEL_FORMATS
from dlrender.style.style import Style
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.choices import check_choice

RATES = (0.1, 240.0)  # frames/s; for 0, the encoder would silently choose another rate
WIDEST = 16_382  # px, the limit of the encoders
VIDEOS = ("environment", "heatmaps", "combined")


@dataclass(frozen=True)
class Output:
    """The options of `dlrender render`.

    methods: () to choose from those in the cache. fps: None for real time. jobs: episodes at a time; of one
    alone, processes; None for one episode after the other, by a process a core.
    """

    methods: tuple[str, ...] = ()
    videos: tuple[str, ...] = VIDEOS
    folder: Path = Path("outputs")
    fps: float | None = None
    format: str = "mp4"
    pix_fmt: str | None = None
    force: bool = False
    jobs: int | None = None
    provenance: bool = True


def pick_methods(cache: EpisodeCache, wanted: Sequence[str]) -> tuple[str, ...]:
    """The methods to draw: those requested, else the only one in the cache, else the likelihood."""
    if len(set(wanted)) != len(wanted):
        raise RenderError(f"--scoring-method {','.join(wanted)} names one twice; name each once")
    if wanted:
        methods = tuple(wanted)
    elif len(cache.methods) == 1:
        methods = cache.methods
    elif "likelihood" in cache.methods:
        methods = ("likelihood",)
    else:
        raise RenderError(f"{cache.path} holds {', '.join(cache.methods)}; choose with --scoring-method")
    for method in methods:
        cache.score_attrs(method)  # raises a CacheError that names the methods
    return methods


def densities_first(cache: EpisodeCache) -> list[str]:
    """All methods of a cache by name, those that are densities first."""
    return sorted(cache.methods, key=lambda name: not cache.is_density(name))


def pick_fps(cache: EpisodeCache, wanted: float | None) -> float:
    """Frames per second of the videos: the rate requested, else that at which the scored steps play in real time."""
    fps, low, high = float(cache.attrs["fps"]) / cache.every if wanted is None else wanted, *RATES
    if not low <= fps <= high:
        named = f"{cache.path} has fps {fps:g}, which" if wanted is None else f"--fps {fps:g}"
        raise RenderError(f"{named} is not allowed; choose --fps from {low:g} to {high:g}")
    return fps


def video_names(cache: EpisodeCache, methods: Sequence[str], output: Output) -> dict[str, Path]:
    """The videos of an episode by panel, in the order in which they are made: `environment`, each method, `combined`."""
    stem = output.folder / f"episode_{cache.episode}"
    suffix = "" if output.format == "png" else f".{output.format}"  # png: a folder
    names = {"environment": f"{stem}_environment{suffix}"} if "environment" in output.videos else {}
    if "heatmaps" in output.videos:
        names |= {method: f"{stem}_heatmaps_{method}{suffix}" for method in methods}
    if "combined" in output.videos:
        names["combined"] = f"{stem}_combined_{'+'.join(methods)}{suffix}"
    return {panel: Path(name) for panel, name in names.items()}


def check_output(files: Sequence[Path], style: Style, output: Output) -> None:
    """Raise for anything wrong with the files or the options, before anything is written."""
    if output.jobs is not None and output.jobs < 1:
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
        with open_cache(file) as cache:
            methods, fps = pick_methods(cache, output.methods), pick_fps(cache, output.fps)
            width = environment_width(style, style.target_height) + len(methods) * width_of(style, style.target_height)
            if "combined" in output.videos and output.format != "png" and width > WIDEST:
                raise RenderError(
                    f"a combined video of {', '.join(methods)} would be {width} px wide, more than {WIDEST}; lower "
                    "--target-height, or name fewer methods"
                )
            if output.format == "gif" and fps > GIF_RATE:
                raise RenderError(f"--fps {fps:g} is not allowed with --format gif; choose {GIF_RATE:g} or less")
            other = drawn.setdefault(cache.episode, file)
        if other is not file:
            raise RenderError(
                f"{other} and {file} are both of episode {cache.episode}, and their videos would have the same names; draw "
                "them into different folders with --output-dir"
            )
