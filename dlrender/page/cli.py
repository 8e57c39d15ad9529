"""The commands that make pages and recordings: parse, call one library function, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dlscore.common import progress

app = typer.Typer()

Files = Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/episode_*.h5, or folders of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")]


@app.command()
def page(
    files: Files,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The page: a name that ends in .html.")] = None,
    index: Annotated[
        Path | None, typer.Option(help="Instead of one page: a folder for a page an episode, and an index of them.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="With --index: number of episodes to read at a time.")] = 1,
    as_json: AsJson = False,
    provenance: Annotated[
        bool,
        typer.Option("--provenance/--no-provenance", help="Tell policy, data and versions; paths are relative."),
    ] = True,
) -> None:
    """Make an interactive page to explore caches in a browser: one file that asks for nothing else.

    Caches of one episode (other policies, checkpoints or seeds) are shown side by side.
    """
    if (output is None) == (index is None):
        raise typer.BadParameter("name the page with -o, such as -o page.html, or a folder of pages with --index")
    from dlrender.answers.table import caches_in
    from dlrender.page.index import write_index
    from dlrender.page.write import check_page_name, write_page

    if output is not None:
        check_page_name(output)
    with progress.steps("page", "episodes") as report:
        if output is not None:
            written = [write_page(caches_in(files), output, provenance=provenance, report=report)]
        elif index is not None:
            written = write_index(caches_in(files), index, provenance=provenance, jobs=jobs, report=report)
    _tell(written, as_json)


@app.command()
def rerun(
    files: Files,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The recording: a name that ends in .rrd.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write caches of one episode as a recording for Rerun's viewer (needs rerun-sdk, the extra rerun)."""
    if output is None:
        raise typer.BadParameter("name the recording with -o, such as -o episode.rrd")
    from dlrender.answers.table import caches_in
    from dlrender.rerun_export import check_rerun_name, write_rerun

    check_rerun_name(output)
    with progress.steps("rerun", "methods") as report:
        _tell([write_rerun(caches_in(files), output, report=report)], as_json)


def _tell(written: Sequence[Path], as_json: bool) -> None:
    names = [str(path) for path in written]
    typer.echo(json.dumps({"files": names}) if as_json else "\n".join(names))
