"""The `dlrender` command: parse, call one library function, report. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dlscore import console, progress

app = console.make_app("dlrender", "Draw the caches of dlscore: videos and stills, without a GPU.")

Method = Annotated[
    str | None, typer.Option("--scoring-method", "-m", help="Which scores.  [default: likelihood, if there]")
]
Colormap = Annotated[str, typer.Option(help="Any colormap of matplotlib.")]
NormKind = Annotated[
    str, typer.Option("--norm", help="Colours over the episode, each frame, all files (global), or rank.")
]
Range = Annotated[float, typer.Option(help="Scores in nats: how far below the largest the colours go.")]
Vmin = Annotated[float | None, typer.Option(help="Score at the lower end of the colours.  [default: from the scores]")]
Vmax = Annotated[float | None, typer.Option(help="Score at the upper end of the colours.  [default: from the scores]")]
Gamma = Annotated[float, typer.Option(help="Power of the colour scale: below 1 shows low scores, above 1 high ones.")]
Center = Annotated[float | None, typer.Option(help="Score in the middle of the colours, for maps such as coolwarm.")]
Prediction = Annotated[bool, typer.Option(help="White star: the policy's predicted action.")]
Expert = Annotated[bool, typer.Option(help="Red cross: the expert's action.")]
Arrow = Annotated[bool, typer.Option(help="Yellow arrow from the prediction to the expert's action.")]
Intervals = Annotated[bool, typer.Option(help="Highest-density regions: 50, 80 and 95 % of the mass.")]
Trace = Annotated[bool, typer.Option(help="The expert's past actions.")]


def _shown(*wanted: bool) -> tuple[str, ...]:
    # The overlays in the order of dlrender.overlays.OVERLAYS, which is not imported for --help.
    names = ("contours", "trace", "arrow", "prediction", "expert")
    return tuple(name for name, show in zip(names, wanted, strict=True) if show)


@app.command()
def render(
    files: Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/episode_000.h5.")],
    scoring_method: Method = None,
    colormap: Colormap = "viridis",
    norm: NormKind = "episode",
    range_nats: Range = 10.0,
    vmin: Vmin = None,
    vmax: Vmax = None,
    gamma: Gamma = 1.0,
    center: Center = None,
    show_policy_prediction: Prediction = True,
    show_expert_action: Expert = True,
    show_arrow: Arrow = True,
    show_confidence_intervals: Intervals = False,
    show_trace: Trace = True,
    target_height: Annotated[int, typer.Option(help="Height of the videos [px], even.")] = 480,
    fps: Annotated[float | None, typer.Option(help="Frames per second.  [default: the episode's]")] = None,
    format: Annotated[str, typer.Option(help="mp4, webp, gif, or png: a folder of pictures.")] = "mp4",
    pix_fmt: Annotated[
        str | None, typer.Option(help="mp4: yuv420p plays everywhere, yuv444p has sharper colours.  [default: yuv420p]")
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder of the videos.")] = Path("outputs"),
    force: Annotated[bool, typer.Option("--force", help="Draw again what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")] = False,
) -> None:
    """Make the environment, heatmap and combined videos of each cache, and a JSON of its settings."""
    from dlrender import render as library
    from dlrender.heatmap import Limits

    overlays = _shown(show_confidence_intervals, show_trace, show_arrow, show_policy_prediction, show_expert_action)
    limits = Limits(vmin, vmax, gamma, center)
    style = library.Style(
        scoring_method, colormap, norm, range_nats, overlays, target_height, fps, limits, format, pix_fmt
    )
    library.check(files, style)
    shared = library.global_norm(files, style)
    written: list[Path] = []
    for file in files:
        with progress.steps(file.name, unit="frames") as report:
            written += library.render_episode(file, style, output_dir, shared=shared, force=force, progress=report)
    if as_json:
        typer.echo(json.dumps({"files": [str(path) for path in written]}))
    else:
        typer.echo("\n".join(str(path) for path in written))


@app.command()
def still(
    file: Annotated[Path, typer.Argument(help="A cache, such as data/cache/episode_000.h5.")],
    step: Annotated[int, typer.Option(help="Which step.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A name that ends in .png, .pdf or .svg.")],
    scoring_method: Method = None,
    colormap: Colormap = "viridis",
    norm: NormKind = "episode",
    range_nats: Range = 10.0,
    vmin: Vmin = None,
    vmax: Vmax = None,
    gamma: Gamma = 1.0,
    center: Center = None,
    show_policy_prediction: Prediction = True,
    show_expert_action: Expert = True,
    show_arrow: Arrow = True,
    show_confidence_intervals: Intervals = True,
    show_trace: Trace = True,
    with_environment: Annotated[bool, typer.Option("--with-environment", help="The environment beside it.")] = False,
) -> None:
    """Draw one step for a paper: pdf and svg keep vector overlays and editable text."""
    from dlrender import render as library
    from dlrender.heatmap import Limits
    from dlrender.stills import save_still

    overlays = _shown(show_confidence_intervals, show_trace, show_arrow, show_policy_prediction, show_expert_action)
    limits = Limits(vmin, vmax, gamma, center)
    style = library.Style(scoring_method, colormap, norm, range_nats, overlays, limits=limits)
    library.check([file], style)
    typer.echo(save_still(file, step, output, style, environment=with_environment))


@app.command()
def sheet(
    file: Annotated[Path, typer.Argument(help="A cache, such as data/cache/episode_000.h5.")],
    steps: Annotated[str, typer.Option(help="Which steps, such as 0,20,40.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A name that ends in .png, .pdf or .svg.")],
    scoring_method: Method = None,
    colormap: Colormap = "viridis",
    norm: NormKind = "episode",
    range_nats: Range = 10.0,
    vmin: Vmin = None,
    vmax: Vmax = None,
    gamma: Gamma = 1.0,
    center: Center = None,
    show_policy_prediction: Prediction = True,
    show_expert_action: Expert = True,
    show_arrow: Arrow = True,
    show_confidence_intervals: Intervals = True,
    show_trace: Trace = True,
    columns: Annotated[int, typer.Option(help="Steps side by side.")] = 6,
    with_environment: Annotated[
        bool, typer.Option("--with-environment/--no-environment", help="The environment over each heatmap.")
    ] = True,
) -> None:
    """Draw several steps in one figure: the environment over the heatmap, one scale and one legend."""
    from dlrender import render as library
    from dlrender.heatmap import Limits
    from dlrender.stills import parse_steps, save_sheet

    overlays = _shown(show_confidence_intervals, show_trace, show_arrow, show_policy_prediction, show_expert_action)
    limits = Limits(vmin, vmax, gamma, center)
    style = library.Style(scoring_method, colormap, norm, range_nats, overlays, limits=limits)
    library.check([file], style)
    chosen = parse_steps(steps)
    typer.echo(save_sheet(file, chosen, output, style, environment=with_environment, columns=columns))


def main() -> None:
    """Console entry point: every UserError is one line on stderr and its exit code."""
    sys.exit(console.run(app, "dlrender"))
