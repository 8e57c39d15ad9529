"""The step table: one row a step, one column a statistic, of one cache or of many, and as a file."""

from __future__ import annotations

import csv
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dlrender.answers.columns import BY_NAME, COLUMNS, Column
from dlrender.answers.distinct import check_distinct
from dlrender.answers.steps import Episode
from dlrender.errors import RenderError
from dlrender.output import pick_methods
from dlscore.cache import EpisodeCache, open_cache
from dlscore.common.arrays import Array
from dlscore.common.choices import check_known
from dlscore.common.files import atomic_path
from dlscore.common.processes import end_with_parent
from dlscore.common.progress import Report, no_report

Table = dict[str, Array]  # by the name of the column, (rows,) each
KINDS = {"f8": np.float64, "i8": np.int64, "str": np.str_}
SUFFIXES = (".parquet", ".csv", ".json")


def step_table(
    cache: EpisodeCache | str | Path, *, method: str | None = None, columns: Sequence[str] | None = None
) -> Table:
    """One row for each step of a cache that is done: {column: (rows,)}, which `pandas.DataFrame` takes as it is.

    cache: an open cache, or its path. method: a density; by default the only method of the cache, or the likelihood. columns:
    some of `COLUMNS`, all by default. What a step does not have is nan. CacheError for a cache that holds no mixtures.
    """
    for name in columns or ():
        check_known("column", name, BY_NAME, RenderError, "step_table")
    wanted = COLUMNS if columns is None else tuple(BY_NAME[name] for name in columns)
    if not isinstance(cache, EpisodeCache):
        with open_cache(cache) as opened:
            return _table(opened, method, wanted)
    return _table(cache, method, wanted)


def _table(cache: EpisodeCache, method: str | None, columns: Sequence[Column]) -> Table:
    episode = Episode(cache, density_of(cache, method))
    rows = [[column.value(step) for column in columns] for step in episode.steps()]
    return {
        column.name: np.array([row[k] for row in rows], dtype=KINDS[column.kind]) for k, column in enumerate(columns)
    }


def density_of(cache: EpisodeCache, method: str | None = None) -> str:
    """The method whose density is asked; RenderError for one that is no density."""
    (name,) = pick_methods(cache, () if method is None else (method,))
    if not cache.is_density(name):
        raise RenderError(f"{name} in {cache.path} is no density; choose with --scoring-method one that is")
    return name


def read_tables(
    files: Sequence[Path],
    method: str | None = None,
    columns: Sequence[str] | None = None,
    report: Report = no_report,
    jobs: int = 1,
    one: str = "",
) -> Table:
    """The tables of several caches, one below the other; RenderError for none, and for an episode that is there twice.

    jobs: so many processes make them. one: what is of one policy, such as `a report`; then RenderError also for several.
    """
    if jobs < 1:
        raise RenderError(f"--jobs {jobs} is not allowed; choose 1 or more")
    check_distinct(files, one)
    keys = ["policy", "dataset", "seed", "episode"]
    names = None if columns is None else list(dict.fromkeys([*keys, *columns]))
    tables = []
    report(0, len(files))
    with workers(min(jobs, len(files))) as run:
        for file, table in zip(files, run(partial(step_table, method=method, columns=names), files), strict=True):
            if not len(table["episode"]):
                raise RenderError(f"{file} has no step that is done; run dlscore compute again")
            tables.append(table)
            report(len(tables), len(files))
    return stack(tables)


@contextmanager
def workers(count: int) -> Iterator[Any]:
    """A map over files: here, or by so many processes, started afresh since libraries hold locks that a fork would copy."""
    if count == 1:
        yield map
        return
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=end_with_parent) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def caches_in(places: Sequence[Path]) -> list[Path]:
    """The caches that some files and folders name; RenderError for a folder without caches."""
    found: list[Path] = []
    for place in places:
        inside = sorted(place.glob("*.h5")) if place.is_dir() else [place]
        if not inside:
            raise RenderError(f"folder {place} has no caches; name a folder with files such as episode_000.h5")
        found += inside
    return found


def stack(tables: Sequence[Table]) -> Table:
    """Tables of the same columns, one below the other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def write_table(table: Table, path: Path) -> Path:
    """Write a table as .parquet (needs pyarrow), .csv or .json (a list of rows); nan is null or empty."""
    check_table_name(path)
    with atomic_path(path, RenderError) as part:
        {".parquet": _write_parquet, ".csv": _write_csv, ".json": _write_json}[path.suffix](table, part)
    return path


def check_table_name(path: Path) -> None:
    """Raise RenderError for a name that says no format, and for parquet without pyarrow."""
    if path.suffix not in SUFFIXES:
        raise RenderError(f"table {path} has no known format; end its name in {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        _pyarrow()


def plain_rows(table: Table) -> list[dict[str, Any]]:
    """The rows as dicts of Python's numbers and texts, with None for what is not finite."""
    columns = {name: [_plain(value) for value in values.tolist()] for name, values in table.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _write_json(table: Table, path: Path) -> None:
    path.write_text(json.dumps(plain_rows(table), ensure_ascii=False) + "\n", encoding="utf-8")


def _write_csv(table: Table, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain_rows(table))


def _write_parquet(table: Table, path: Path) -> None:
    arrow = _pyarrow()
    fields, values = [], []
    for name, column in table.items():
        about = {"units": BY_NAME[name].units, "meaning": BY_NAME[name].meaning} if name in BY_NAME else {}
        kind = {"f": arrow.float64(), "i": arrow.int64()}.get(column.dtype.kind, arrow.string())
        fields.append(arrow.field(name, kind, metadata=about))
        values.append(arrow.array([_plain(value) for value in column.tolist()], kind))
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.table(values, schema=arrow.schema(fields)), path)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise RenderError("parquet needs pyarrow; pip install pyarrow, or write .csv or .json") from error
    return pyarrow
