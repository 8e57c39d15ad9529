"""The commands of `dlrender` that answer questions: parse, call one library function, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dlscore.common import progress

app = typer.Typer()

Files = Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/episode_*.h5.")]
Method = Annotated[
    str | None,
    typer.Option("--scoring-method", "-m", help="The density to ask.  [default: likelihood, if present]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON on stdout.")]


@app.command()
def stats(
    files: Files,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The table: a name that ends in .parquet, .csv or .json.")
    ] = None,
    scoring_method: Method = None,
    as_json: AsJson = False,
) -> None:
    """Tabulate statistics of each step, and summarize them with intervals over episodes."""
    from dlrender.answers.summary import format_summary, summarize
    from dlrender.answers.table import check_table_name, read_tables, write_table

    if output is not None:
        check_table_name(output)
    with progress.steps("stats", "episodes") as report:
        table = read_tables(files, scoring_method, report=report)
    if output is not None:
        typer.echo(write_table(table, output), err=as_json)
    summary = summarize(table)
    shown = {name: each.as_dict() for name, each in summary.items()}
    typer.echo(json.dumps({"summary": shown}) if as_json else format_summary(summary, table))
