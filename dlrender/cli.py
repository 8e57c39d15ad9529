"""The `dlrender` command: parse, call one library function, report. Heavy modules are imported inside the commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dlrender import complete
from dlrender.answers.cli import app as answers
from dlrender.options import MakeStyle, describe_overlays, styled
from dlrender.page.cli import app as pages
from dlscore import __version__
from dlscore.common import console, progress

app = console.make_app("dlrender", __version__, "Draw the caches of dlscore: videos and stills, without a GPU.")

File = Annotated[Path, typer.Argument(help="A cache, such as data/cache/episode_000.h5.")]
FigureFile = Annotated[Path, typer.Option("--output", "-o", help="A file name that ends in .png, .pdf or .svg.")]
Json = Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")]
Provenance = Annotated[
    bool,
    typer.Option("--provenance/--no-provenance", help="Write who, where and when into the metadata; relative paths."),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--scoring-method",
        "-m",
        help="Methods to draw side by side, separated by commas or repeated.  [default: likelihood, if present]",
        autocompletion=complete.methods,
    ),
]


def _report(paths: Sequence[Path], as_json: bool, otherwise: str = "") -> None:
    names = [str(path) for path in paths]
    typer.echo(json.dumps({"files": names}) if as_json else "\n".join(names) or otherwise)


def _split(entries: list[str] | None) -> tuple[str, ...]:
    return tuple(name for entry in entries or () for name in entry.split(","))


@app.command(epilog=describe_overlays())
@styled("dpi", "width", "height")
def render(
    style: MakeStyle,
    files: Annotated[list[Path] | None, typer.Argument(help="Caches, such as data/cache/episode_000.h5.")] = None,
    scoring_method: Methods = None,
    videos: Annotated[
        list[str] | None,
        typer.Option(
            help="Videos to make: environment, heatmaps, combined.  [default: all]", autocompletion=complete.videos
        ),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frames per second.  [default: the rate of the scored steps]")
    ] = None,
    format: Annotated[
        str, typer.Option(help="mp4, webp, gif, or png (a folder of frames).", autocompletion=complete.formats)
    ] = "mp4",
    pix_fmt: Annotated[
        str | None, typer.Option(help="mp4: yuv420p plays everywhere, yuv444p has sharper colours.  [default: yuv420p]")
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder of the videos.")] = Path("outputs"),
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            help="Episodes to draw at a time; of one, processes.  [default: one after the other, by a process a core, up to 4]",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Draw videos again that are up to date or not of dlrender.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be drawn.")] = False,
    print_style: Annotated[
        bool, typer.Option("--print-style", help="Print the style as TOML and draw nothing.")
    ] = False,
    as_json: Json = False,
    provenance: Provenance = True,
) -> None:
    """Make the videos of each cache.

    They are of the environment, of the heatmaps, and of both side by side. A JSON tells the settings.
    """
    if not files and not print_style:
        raise typer.BadParameter("name the caches to draw, such as data/cache/episode_000.h5")
    from dlrender.existing import plan
    from dlrender.jobs import render_files
    from dlrender.output import VIDEOS, Output, check_output
    from dlrender.style.toml import format_style

    chosen, paths = style(), files or []
    output = Output(
        _split(scoring_method),
        VIDEOS if videos is None else _split(videos),
        output_dir,
        fps,
        format,
        pix_fmt,
        force,
        jobs,
        provenance,
    )
    if print_style:
        typer.echo(format_style(chosen), nl=False)
    elif dry_run:
        check_output(paths, chosen, output)
        rows = list(plan(paths, chosen, output))
        typer.echo(
            json.dumps({"files": rows}) if as_json else "\n".join("{path}: {state}".format(**row) for row in rows)
        )
    else:
        written = render_files(paths, chosen, output, lambda name: progress.steps(name, unit="frames"))
        _report(written, as_json, "all videos are up to date; --force draws them again")


@app.command(epilog=describe_overlays())
@styled("target_height")
def still(
    style: MakeStyle,
    file: File,
    step: Annotated[int, typer.Option(help="The step to draw.")],
    output: FigureFile,
    scoring_method: Methods = None,
    with_environment: Annotated[
        bool, typer.Option("--with-environment", help="Draw the environment to the left.")
    ] = False,
    as_json: Json = False,
    provenance: Provenance = True,
) -> None:
    """Draw one step as a figure.

    pdf and svg have vector overlays and editable text.
    """
    from dlrender.figures import save_still

    methods = _split(scoring_method)
    path = save_still(file, step, output, style(), methods=methods, environment=with_environment, provenance=provenance)
    _report([path], as_json)


@app.command(epilog=describe_overlays())
@styled("target_height")
def sheet(
    style: MakeStyle,
    file: File,
    steps: Annotated[str, typer.Option(help="The steps to draw, such as 0-20,40.")],
    output: FigureFile,
    scoring_method: Methods = None,
    columns: Annotated[int, typer.Option(help="Number of steps in a row.")] = 6,
    with_environment: Annotated[
        bool, typer.Option("--with-environment/--no-environment", help="Draw the environment above each heatmap.")
    ] = True,
    as_json: Json = False,
    provenance: Provenance = True,
) -> None:
    """Draw several steps in one figure.

    They have one colour scale per method and one legend.
    """
    from dlrender.figures import parse_steps, save_sheet

    methods, chosen = _split(scoring_method), parse_steps(steps)
    path = save_sheet(
        file,
        chosen,
        output,
        style(),
        methods=methods,
        environment=with_environment,
        columns=columns,
        provenance=provenance,
    )
    _report([path], as_json)


@app.command()
def styles(
    print_style: Annotated[
        str | None, typer.Option(help="Print this style as TOML, to start from.", autocompletion=complete.styles)
    ] = None,
) -> None:
    """List the bundled styles, or print one as a file to start from."""
    from dlrender.style.toml import describe_styles, format_style, load_style

    if print_style is not None:
        typer.echo(format_style(load_style(print_style)), nl=False)
    else:
        typer.echo("\n".join(f"{name:10s} {about}" for name, about in describe_styles().items()))


app.add_typer(answers)
app.add_typer(pages)


def main() -> None:
    """Console entry point: every UserError is one line on stderr and its exit code."""
    # Before numpy: the products of matrices are small here, and its threads wait for each other at full speed, three times
    # the CPU time for nothing.
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(console.run(app, "dlrender", "interrupted; unfinished files were removed"))
