"""The commands of `dlrender` that draw answers, and the options they share: parse, call one library function, report."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlrender.answers.films import Film
    from dlrender.style.style import Style

app = typer.Typer()

File = Annotated[Path, typer.Argument(help="A cache, such as data/cache/episode_000.h5.")]
Files = Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/episode_*.h5, or folders of them.")]
Method = Annotated[
    str | None,
    typer.Option("--scoring-method", "-m", help="The density to ask.  [default: likelihood, if present]"),
]
FigureFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="The figure: a name that ends in .png, .pdf or .svg.")
]
Width = Annotated[str | None, typer.Option(help="Width of the figure, such as 3.5in, 85mm, 8.5cm or 240pt.")]
StyleName = Annotated[str, typer.Option("--style", help="A bundled style (dlrender styles), or a TOML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON on stdout.")]
Provenance = Annotated[
    bool, typer.Option("--provenance/--no-provenance", help="Write the caches into the metadata, by relative paths.")
]
FilmFile = Annotated[Path | None, typer.Option("--film", help="A film too: a name that ends in .mp4 or .webp.")]


class Drawing:
    """The options that all commands that draw share, checked before anything is read; `show` reports what they found."""

    def __init__(
        self,
        output: FigureFile = None,
        film: FilmFile = None,
        width: Width = None,
        style: StyleName = "default",
        scoring_method: Method = None,
        as_json: AsJson = False,
        provenance: Provenance = True,
    ) -> None:
        from dlrender.answers.charts import NARROWEST, check_chart_name
        from dlrender.answers.films import check_film_name
        from dlrender.style.style import parse_length
        from dlrender.style.toml import load_style

        if output is None and film is None and not as_json:
            raise typer.BadParameter("name the figure with -o, or ask for the numbers with --json")
        if output is not None:
            check_chart_name(output)
        if film is not None:
            check_film_name(film)
        self.output, self.film, self.method, self.as_json, self.provenance = (
            output,
            film,
            scoring_method,
            as_json,
            provenance,
        )
        self.width, self.style = None if width is None else parse_length("--width", width, NARROWEST), load_style(style)

    def show(
        self,
        files: Sequence[Path],
        answer: Any,
        draw: Callable[[Any, Style, float | None], Figure],
        film: Callable[[Any, float | None], Film] | None = None,
    ) -> None:
        """Write the figure and the film that these make of the answer, and print it as JSON, or where they are; from `files`."""
        from dlrender.answers.charts import chart_style, save_chart
        from dlrender.answers.films import write_film
        from dlrender.metadata import relative

        about = {"files": [relative(str(file)) for file in files]}
        if self.output is not None:
            with chart_style(self.style):
                figure = draw(answer, self.style, self.width)
                save_chart(figure, self.output, self.style, about, self.provenance)
        if self.film is not None and film is not None:
            make = partial(film, answer, self.width)
            write_film(make, self.film, self.style, about if self.provenance else {})
        if self.as_json:
            typer.echo(json.dumps(answer.as_dict()))
        for path in (self.output, self.film):
            if path is not None and not self.as_json:
                typer.echo(path)


def _draws(film: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose first parameter is a Drawing, made of the options that all share, which come after its own.

    film: whether it has `--film`.
    """
    shared = [
        each for name, each in inspect.signature(Drawing, eval_str=True).parameters.items() if film or name != "film"
    ]

    def add(command: Callable[..., None]) -> Callable[..., None]:
        def run(**options: Any) -> None:
            command(Drawing(**{each.name: options.pop(each.name) for each in shared}), **options)

        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [*own, *shared]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        app.command()(run)
        return command

    return add


@_draws()
def timeline(drawing: Drawing, file: File) -> None:
    """Draw an episode over time: where the policy would go, how undecided it is, how surprised by what was done."""
    from dlrender.answers.timeline import read_timeline, timeline_figure

    drawing.show([file], read_timeline(file, drawing.method), timeline_figure)


@_draws()
def calibration(
    drawing: Drawing,
    files: Files,
    by: Annotated[str, typer.Option(help="One row for each policy, or each dataset.")] = "policy",
) -> None:
    """Draw how the recorded actions lie among the density's regions, and beside them the policy's own draws."""
    from dlrender.answers.calibration import calibration_figure, read_calibration
    from dlrender.answers.table import caches_in

    drawing.show(files, read_calibration(caches_in(files), by, drawing.method), calibration_figure)


@_draws(film=True)
def modes(
    drawing: Drawing,
    file: File,
    step: Annotated[
        int | None, typer.Option(help="The step to draw.  [default: all, as the ways of their modes]")
    ] = None,
) -> None:
    """Draw the modes of a step on a map, with mass, prominence and plans; or those of an episode, and how long each lasts."""
    if step is not None:
        from dlrender.answers.choices import choices_figure, read_choices

        if drawing.film is not None:
            raise typer.BadParameter("a film shows all steps; leave out --step, or --film")
        drawing.show([file], read_choices(file, step, drawing.method), choices_figure)
        return
    from dlrender.answers.choices_film import choices_film
    from dlrender.answers.tracks import read_tracks
    from dlrender.answers.tracks_chart import tracks_figure
    from dlscore.cache import open_cache

    with open_cache(file) as cache:
        found = read_tracks(cache, drawing.method)
        drawing.show([file], found, tracks_figure, lambda data, wide: choices_film(cache, data, wide, drawing.method))


@_draws(film=True)
def compare(
    drawing: Drawing,
    files: Files,
    others: Annotated[list[Path], typer.Option("--with", help="Caches of the other policy, or their folder. Repeat.")],
    null: Annotated[
        list[Path] | None,
        typer.Option("--null", help="Caches of the first policy with another seed, or their folder. Repeat."),
    ] = None,
) -> None:
    """Compare two policies on the same episodes, beside their own errors and the first policy with another seed."""
    from dlrender.answers.compare import read_comparison
    from dlrender.answers.compare_chart import comparison_figure
    from dlrender.answers.compare_film import comparison_film
    from dlrender.answers.table import caches_in

    if not null:
        typer.echo("no null row: score the first policy again with another --seed, and name it with --null", err=True)
    a, b, again = (caches_in(each) for each in (files, others, null or []))
    found = read_comparison(a, b, again, drawing.method)
    for who, pairs in (("--with", found.pairs), ("--null", found.null)):
        if pairs is not None and any(pairs.left_out.values()):
            typer.echo(f"{who}: {pairs.left_out_text()}", err=True)
    named = [*files, *others, *(null or [])]
    drawing.show(named, found, comparison_figure, lambda data, wide: comparison_film(data, a, b, wide, drawing.method))


@_draws()
def failures(
    drawing: Drawing,
    files: Files,
    feature: Annotated[str, typer.Option(help="The statistic to follow over time, such as entropy.")] = "entropy",
    seconds: Annotated[
        float | None, typer.Option(help="Compare the first so many seconds.  [default: of the shortest episode]")
    ] = None,
) -> None:
    """Draw what tells rollouts that fail from those that succeed: AUROC with exact p, and how early a warning comes."""
    from dlrender.answers.failures import read_failures
    from dlrender.answers.failures_chart import failures_figure
    from dlrender.answers.table import caches_in

    drawing.show(files, read_failures(caches_in(files), feature, seconds, drawing.method), failures_figure)


@_draws(film=True)
def training(
    drawing: Drawing,
    checkpoints: Annotated[
        list[str], typer.Argument(help="Training steps and caches or folders, such as 400=runs/400 5000=runs/5000.")
    ],
    evals: Annotated[
        list[str] | None,
        typer.Option("--eval", help="LeRobot's eval_info.json by training steps, such as 400=eval_info.json. Repeat."),
    ] = None,
) -> None:
    """Draw how surprise, calibration, entropy and success change with training, on the same episodes."""
    from dlrender.answers.training import parse_checkpoints, read_training
    from dlrender.answers.training_chart import training_figure
    from dlrender.answers.training_film import training_film

    places, results = parse_checkpoints(checkpoints), parse_checkpoints(evals or [], "--eval")
    named = [path for paths in places.values() for path in paths]
    found = read_training(places, results, drawing.method)
    drawing.show(named, found, training_figure, lambda data, wide: training_film(data, places, wide, drawing.method))


@_draws()
def coverage(
    drawing: Drawing,
    files: Files,
    frame: Annotated[str, typer.Option(help="world, or block: actions as seen from the block.")] = "world",
) -> None:
    """Draw where the policy proposes actions and where the record has them, beside what chance would do."""
    from dlrender.answers.coverage import read_coverage
    from dlrender.answers.coverage_chart import coverage_figure
    from dlrender.answers.table import caches_in

    drawing.show(files, read_coverage(caches_in(files), frame, drawing.method), coverage_figure)
