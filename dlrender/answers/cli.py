"""The commands of `dlrender` that answer in tables and pages; those that draw are in cli_charts.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dlrender.answers.cli_charts import AsJson, Files, Method, StyleName, app
from dlscore.common import progress

__all__ = ["app"]


@app.command()
def stats(
    files: Files,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The table: a name that ends in .parquet, .csv or .json.")
    ] = None,
    scoring_method: Method = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Number of episodes to read at a time.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Tabulate statistics of each step, and summarize them with intervals over episodes."""
    from dlrender.answers.summary import format_summaries, summaries
    from dlrender.answers.table import caches_in, check_table_name, read_tables, write_table

    if output is not None:
        check_table_name(output)
    with progress.steps("stats", "episodes") as report:
        table = read_tables(caches_in(files), scoring_method, report=report, jobs=jobs)
    if output is not None:
        typer.echo(write_table(table, output), err=as_json)
    found = summaries(table)
    shown = [{name: each.as_dict() for name, each in summary.items()} for summary in found.values()]
    of_each = {"summary": shown[0]} if len(shown) == 1 else {"summaries": dict(zip(found, shown, strict=True))}
    typer.echo(json.dumps(of_each) if as_json else format_summaries(found, table))


@app.command()
def report(
    files: Files,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page: a name that ends in .html or .md.")
    ] = None,
    fail_if: Annotated[
        list[str] | None, typer.Option(help="Exit with 4 if this holds, such as 'nll>7.5'. Repeat for several.")
    ] = None,
    style: StyleName = "default",
    scoring_method: Method = None,
    as_json: AsJson = False,
) -> None:
    """Write a page on a run: its summary with intervals, calibration, warnings, the worst moments; and fail if it is bad."""
    from dlrender.answers.gates import check_gates, parse_gate
    from dlrender.answers.report import read_report
    from dlrender.answers.report_page import check_report_name, write_report
    from dlrender.answers.table import caches_in
    from dlrender.style.toml import load_style

    if output is None and not as_json:
        raise typer.BadParameter("name the page with -o, or ask for the numbers with --json")
    if output is not None:
        check_report_name(output)
    gates, chosen = [parse_gate(text) for text in fail_if or []], load_style(style)
    found = read_report(caches_in(files), scoring_method)
    if output is not None:
        write_report(found, output, chosen, gates)
    typer.echo(json.dumps(found.as_dict()) if as_json else output)
    check_gates(gates, found.summary)
