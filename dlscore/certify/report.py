"""The certification as a table, and as a figure of the true density beside each estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.certify.certify import evaluate, make_case
from dlscore.certify.errors import CertifyError
from dlscore.certify.mixtures import Mixture
from dlscore.common.arrays import Array
from dlscore.common.files import check_writable
from dlscore.common.world import WORLD_SIZE
from dlscore.grid import Grid
from dlscore.scores.base import Scorer

# name of the column, key of the row, format; columns named fresh are of the fresh set's row, if there are two
COLUMNS = (
    ("method", "method", "{}"),
    ("density", "density", "{}"),
    ("schedule", "schedule", "{}"),
    ("evaluations", "evaluations", "{:,}"),
    ("TV", "tv_mean", "{:.3f}"),
    ("± seeds", "tv_std", "{:.3f}"),
    ("TV max", "tv_max", "{:.3f}"),
    ("fresh TV", "tv_mean", "{:.3f}"),
    ("fresh max", "tv_max", "{:.3f}"),
    ("KL", "kl_mean", "{:.3g}"),
    ("95 % HDR", "hdr95_iou", "{:.3f}"),
    ("90 % cover", "coverage90", "{:.3f}"),
    ("rank corr.", "spearman", "{:.3f}"),
    ("modes", "modes_found", "{:.0%}"),
    ("error ≤ 2×", "error_within_2", "{:.0%}"),
    ("error max", "error_factor_max", "{:.1f}×"),
    ("error rank", "error_rank", "{:.2f}"),
    ("fresh error ≤ 2×", "error_within_2", "{:.0%}"),
    ("fresh error max", "error_factor_max", "{:.1f}×"),
)
NONE = "–"
SHOWN = ("one half a cell wide", "two parallel narrow", "three of different width", "four unequal", "banana")


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `summary.summarise` as a Markdown table, which reads as well in a terminal.

    One line per method, density and schedule, the fresh set's columns beside those of the fixed one. Columns without a
    value, and that of the schedule where there is one, are left out.
    """
    lines: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault((row["method"], row["density"], row["schedule"]), {})[row["set"]] = row
    table: list[list[str]] = []
    for title, key, pattern in COLUMNS:
        if title.startswith("fresh"):
            column = [sets.get("fresh") if len(sets) > 1 else None for sets in lines.values()]
        else:
            column = [next(iter(sets.values())) for sets in lines.values()]
        cells = [_cell(row, key, pattern) for row in column]
        if set(cells) != {NONE} and (key != "schedule" or len(set(cells)) > 1):
            table.append([title, *cells])
    widths = [max(map(len, cells)) for cells in table]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in zip(*table, strict=True)
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _cell(row: Mapping[str, Any] | None, key: str, pattern: str) -> str:
    value = None if row is None else row.get(key)
    return NONE if value is None else pattern.format(value)


def save_figure(
    path: Path,
    scorers: Mapping[str, Scorer],
    mixtures: Sequence[Mixture],
    resolution: int = 50,
    *,
    density: str = "executed",
    folder: Path | None = None,
) -> None:
    """Save a figure with a row per policy: the true density and each estimate on the same colour scale, with its error."""
    from matplotlib.figure import Figure

    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise CertifyError(f"--figure {path} is not understood; end its name in .png, .pdf or .svg")
    check_writable(path.parent, CertifyError, "--figure")
    grid = Grid(resolution)
    columns = 1 + len(scorers)
    figure = Figure(figsize=(1.45 * columns + 0.3, 1.45 * len(mixtures) + 0.45), layout="constrained")
    axes = figure.subplots(len(mixtures), columns, squeeze=False)
    for row, mixture in zip(axes, mixtures, strict=True):
        panels = _estimate(scorers, mixture, grid, density, folder)
        truth = panels[0][1]
        for ax, (title, masses) in zip(row, panels, strict=True):
            # The square root shows tails without the narrowest mode hiding all else.
            ax.imshow(np.sqrt(masses), vmin=0, vmax=np.sqrt(truth.max()), cmap="inferno", interpolation="nearest",
                      extent=(0, WORLD_SIZE, WORLD_SIZE, 0))  # fmt: skip
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_xlabel(title, fontsize=7, labelpad=2)
        row[0].set_ylabel(mixture.name.replace(" of ", " of\n"), fontsize=7)
    for ax, title in zip(axes[0], ["", *scorers], strict=True):
        ax.set_title(title, fontsize=7)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise CertifyError(f"--figure {path} cannot be written ({error.strerror}); choose another name") from error


def _estimate(
    scorers: Mapping[str, Scorer], mixture: Mixture, grid: Grid, density: str, folder: Path | None
) -> list[tuple[str, Array]]:
    # (title, masses) of the truth, then of each estimate.
    case = make_case(mixture, grid, densities=(density,), folder=folder)
    panels = [(f"{density} density", np.exp(case.truths[density].log_masses))]
    for method, scorer in scorers.items():
        ((result, estimate),) = evaluate(method, scorer, case, 0, grid)
        panels.append((f"TV {result.tv:.3f}", estimate))
    return panels
