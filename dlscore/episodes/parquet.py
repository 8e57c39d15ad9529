"""The parquet files of a LeRobotDataset v3.0, read by path: one table of episodes, and the rows of one episode.

LeRobot's own reader takes paths as glob patterns and keeps a cache keyed by modification times, so a folder name with
brackets or an unchanged time stamp can give the numbers of other data. Here nothing is cached and no pattern is expanded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.common.arrays import Array
from dlscore.episodes.episode import DatasetError

__all__ = ["EpisodeRow", "read_columns", "read_episodes"]

UNNAMED = "__index_level_0__"  # how pandas writes an index without a name
NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index")


@dataclass(frozen=True)
class EpisodeRow:
    """One row of meta/episodes: the length of an episode, its data file, and the place of its videos.

    videos: feature -> (file, first and last time [s] of the episode in it).
    """

    index: int
    length: int
    data: str
    videos: dict[str, tuple[str, float, float]]


def read_episodes(root: Path, data_path: str, video_path: str, videos: Sequence[str]) -> list[EpisodeRow]:
    """The table meta/episodes, in order. DatasetError unless its indices are 0, 1, 2, …

    data_path, video_path: the patterns of meta/info.json. videos: features that are stored as video.
    """
    rows: list[EpisodeRow] = []
    for file in sorted((root / "meta" / "episodes").rglob("*.parquet")):
        columns = [*NEEDED, *(f"videos/{name}/{part}" for name in videos for part in
                              ("chunk_index", "file_index", "from_timestamp", "to_timestamp"))]  # fmt: skip
        with _opened(file) as parquet:
            table = _read(parquet, file, columns)
        for row in table.to_pylist():
            chunk, number = row["data/chunk_index"], row["data/file_index"]
            places = {}
            for name in videos:
                place = {part: row[f"videos/{name}/{part}"] for part in ("chunk_index", "file_index")}
                start, end = (float(row[f"videos/{name}/{part}"]) for part in ("from_timestamp", "to_timestamp"))
                places[name] = (video_path.format(video_key=name, **place), start, end)
            data = data_path.format(chunk_index=chunk, file_index=number)
            rows.append(EpisodeRow(int(row["episode_index"]), int(row["length"]), data, places))
    for k, row in enumerate(rows):
        if row.index != k:
            raise DatasetError(
                f"meta/episodes of {root} has episode_index {row.index} where {k} belongs; its episodes must be numbered 0, 1, "
                "2, … in order: save the data set again with LeRobot"
            )
        if row.length < 1:
            raise DatasetError(f"meta/episodes of {root} gives episode {k} {row.length} steps; it is damaged")
    return rows


def read_columns(root: Path, row: EpisodeRow, names: Iterable[str]) -> dict[str, Any]:
    """Columns of one episode as arrow arrays, its rows in order. DatasetError unless the rows are those of the episode."""
    import pyarrow.compute as pc

    names = list(names)
    file = root / row.data
    with _opened(file) as parquet:
        order = [name for name in ("episode_index", "frame_index") if name in parquet.schema_arrow.names]
        table = _read(parquet, file, dict.fromkeys([*order, *names]))
    if "episode_index" not in order:
        raise DatasetError(f"{file} has no column episode_index; it is no data file of a LeRobotDataset v3.0")
    table = table.filter(pc.equal(table["episode_index"], row.index))
    frames = np.asarray(table["frame_index"].to_numpy()) if "frame_index" in order else np.arange(len(table))
    if len(table) != row.length or not np.array_equal(frames, np.arange(row.length)):
        raise DatasetError(
            f"{file} has {len(table)} rows of episode {row.index}, and their frame_index must be 0 to {row.length - 1} in "
            "order, as meta/episodes says; save the data set again with LeRobot"
        )
    return {name: table[name].combine_chunks() for name in names}


def read_tasks(root: Path) -> tuple[str, ...]:
    """The texts in meta/tasks.parquet, by their index. Raises DatasetError where it cannot be read."""
    file = root / "meta" / "tasks.parquet"
    with _opened(file) as parquet:
        names = parquet.schema_arrow.names
        # Data sets that LeRobot 0.4 converted have the texts as a pandas index without a name.
        text = UNNAMED if UNNAMED in names and "task" not in names else "task"
        table = _read(parquet, file, ["task_index", text]).to_pylist()
    return tuple(str(row[text]) for row in sorted(table, key=lambda row: int(row["task_index"])))


def to_array(column: Any, shape: Sequence[int], name: str) -> Array:
    """An arrow column of numbers, or of nested lists of numbers, as float64 (T, *shape)."""
    values = column
    while True:
        values = getattr(values, "storage", values)
        if not hasattr(values, "flatten") or not hasattr(values.type, "value_type"):
            break
        values = values.flatten()
    found = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    # LeRobot stores features of shape (1,) as plain numbers.
    shape = tuple(shape)
    if found.size != len(column) * int(np.prod(shape)):
        raise DatasetError(
            f"'{name}' has {found.size} numbers in {len(column)} rows; the data set declares shape {shape}"
        )
    return found.reshape(len(column), *shape)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    # A ParquetFile reads the one file that it is given; no pattern, no cache.
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except DatasetError:
        raise
    except Exception as error:  # arrow raises types of its own
        text = " ".join(str(error).split())[:300]
        raise DatasetError(
            f"{file} cannot be read ({type(error).__name__}: {text}); fetch the data set again"
        ) from error


def _read(parquet: Any, file: Path, columns: Iterable[str]) -> Any:
    columns, available = list(columns), set(parquet.schema_arrow.names)
    if missing := [name for name in columns if name not in available]:
        raise DatasetError(f"{file} has no column {', '.join(missing)}; save the data set again with LeRobot")
    return parquet.read(columns=columns)
