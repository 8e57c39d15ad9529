"""The commands of `dlrender` that draw answers, and the options they share: parse, call one library function, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


class _Chart:
    """The options of a command that draws, checked before anything is read; `show` reports the answer and its figure."""

    def __init__(
        self,
        files: Sequence[Path],
        output: Path | None,
        width: str | None,
        style: str,
        as_json: bool,
        provenance: bool,
    ) -> None:
        from dlrender.answers.charts import NARROWEST, check_chart_name
        from dlrender.style.style import parse_length
        from dlrender.style.toml import load_style

        if output is None and not as_json:
            raise typer.BadParameter("name the figure with -o, or ask for the numbers with --json")
        if output is not None:
            check_chart_name(output)
        self.files, self.output, self.as_json, self.provenance = files, output, as_json, provenance
        self.width, self.style = None if width is None else parse_length("--width", width, NARROWEST), load_style(style)

    def show(self, answer: Any, draw: Callable[[Any, Style, float | None], Figure]) -> None:
        """Write the figure that `draw` makes of the answer, and print the answer as JSON, or where the figure is."""
        from dlrender.answers.charts import chart_style, save_chart
        from dlrender.metadata import relative

        if self.output is not None:
            with chart_style(self.style):
                about = {"files": [relative(str(file)) for file in self.files]}
                figure = draw(answer, self.style, self.width)
                save_chart(figure, self.output, self.style, about, self.provenance)
        typer.echo(json.dumps(answer.as_dict()) if self.as_json else self.output)


@app.command()
def timeline(
    file: File,
    output: FigureFile = None,
    width: Width = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
    provenance: Provenance = True,
) -> None:
    """Draw an episode over time: where the policy would go, how undecided it is, how surprised by what was done."""
    chart = _Chart([file], output, width, style, as_json, provenance)
    from dlrender.answers.timeline import read_timeline, timeline_figure

    chart.show(read_timeline(file, scoring_method), timeline_figure)


@app.command()
def calibration(
    files: Files,
    output: FigureFile = None,
    by: Annotated[str, typer.Option(help="One row for each policy, or each dataset.")] = "policy",
    width: Width = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
    provenance: Provenance = True,
) -> None:
    """Draw how the recorded actions lie among the density's regions, and beside them the policy's own draws."""
    chart = _Chart(files, output, width, style, as_json, provenance)
    from dlrender.answers.calibration import calibration_figure, read_calibration
    from dlrender.answers.table import caches_in

    chart.show(read_calibration(caches_in(files), by, scoring_method), calibration_figure)


@app.command()
def modes(
    file: File,
    step: Annotated[int, typer.Option(help="The step to draw.")],
    output: FigureFile = None,
    width: Width = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
    provenance: Provenance = True,
) -> None:
    """Draw the modes of a step on a map: their mass and prominence, the plans that start at each, the regions."""
    chart = _Chart([file], output, width, style, as_json, provenance)
    from dlrender.answers.choices import choices_figure, read_choices

    chart.show(read_choices(file, step, scoring_method), choices_figure)


@app.command()
def compare(
    files: Files,
    others: Annotated[list[Path], typer.Option("--with", help="Caches of the other policy, or their folder. Repeat.")],
    null: Annotated[
        list[Path] | None,
        typer.Option("--null", help="Caches of the first policy with another seed, or their folder. Repeat."),
    ] = None,
    output: FigureFile = None,
    width: Width = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
    provenance: Provenance = True,
) -> None:
    """Compare two policies on the same episodes, beside their own errors and the first policy with another seed."""
    chart = _Chart([*files, *others, *(null or [])], output, width, style, as_json, provenance)
    from dlrender.answers.compare import read_comparison
    from dlrender.answers.compare_chart import comparison_figure
    from dlrender.answers.table import caches_in

    if not null:
        typer.echo("no null row: score the first policy again with another --seed, and name it with --null", err=True)
    a, b, again = (caches_in(each) for each in (files, others, null or []))
    found = read_comparison(a, b, again, scoring_method)
    for who, pairs in (("--with", found.pairs), ("--null", found.null)):
        if pairs is not None and any(pairs.left_out.values()):
            typer.echo(f"{who}: {pairs.left_out_text()}", err=True)
    chart.show(found, comparison_figure)


@app.command()
def failures(
    files: Files,
    output: FigureFile = None,
    feature: Annotated[str, typer.Option(help="The statistic to follow over time, such as entropy.")] = "entropy",
    seconds: Annotated[
        float | None, typer.Option(help="Compare the first so many seconds.  [default: of the shortest episode]")
    ] = None,
    width: Width = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
    provenance: Provenance = True,
) -> None:
    """Draw what tells rollouts that fail from those that succeed: AUROC with exact p, and how early a warning comes."""
    chart = _Chart(files, output, width, style, as_json, provenance)
    from dlrender.answers.failures import read_failures
    from dlrender.answers.failures_chart import failures_figure
    from dlrender.answers.table import caches_in

    chart.show(read_failures(caches_in(files), feature, seconds, scoring_method), failures_figure)


@app.command()
def training(
    checkpoints: Annotated[
        list[str], typer.Argument(help="Training steps and caches or folders, such as 400=runs/400 5000=runs/5000.")
    ],
    evals: Annotated[
        list[str] | None,
        typer.Option("--eval", help="LeRobot's eval_info.json by training steps, such as 400=eval_info.json. Repeat."),
    ] = None,
    output: FigureFile = None,
    width: Width = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
    provenance: Provenance = True,
) -> None:
    """Draw how surprise, calibration, entropy and success change with training, on the same episodes."""
    from dlrender.answers.training import parse_checkpoints, read_training
    from dlrender.answers.training_chart import training_figure

    places, results = parse_checkpoints(checkpoints), parse_checkpoints(evals or [], "--eval")
    chart = _Chart([path for paths in places.values() for path in paths], output, width, style, as_json, provenance)
    chart.show(read_training(places, results, scoring_method), training_figure)


@app.command()
def coverage(
    files: Files,
    output: FigureFile = None,
    frame: Annotated[str, typer.Option(help="world, or block: actions as seen from the block.")] = "world",
    width: Width = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
    provenance: Provenance = True,
) -> None:
    """Draw where the policy proposes actions and where the record has them, beside what chance would do."""
    chart = _Chart(files, output, width, style, as_json, provenance)
    from dlrender.answers.coverage import read_coverage
    from dlrender.answers.coverage_chart import coverage_figure
    from dlrender.answers.table import caches_in

    chart.show(read_coverage(caches_in(files), frame, scoring_method), coverage_figure)
