"""The command that makes pages: parse, call one library function, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dlscore.common import progress

app = typer.Typer()


@app.command()
def page(
    files: Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/episode_*.h5, or folders of them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The page: a name that ends in .html.")] = None,
    index: Annotated[
        Path | None, typer.Option(help="Instead of one page: a folder for a page an episode, and an index of them.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="With --index: number of episodes to read at a time.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")] = False,
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
    names = [str(path) for path in written]
    typer.echo(json.dumps({"files": names}) if as_json else "\n".join(names))
