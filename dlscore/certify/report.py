"""The certification as a table, and as a figure of the true density beside each estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.certify.analytic_policy import make_policy
from dlscore.certify.certify import CertifyError, evaluate
from dlscore.certify.mixtures import Mixture
from dlscore.common.files import check_writable
from dlscore.common.world import WORLD_SIZE
from dlscore.grid import Grid
from dlscore.scores.base import Scorer

# name of the column, key of the row, format
COLUMNS = (
    ("method", "method", "{}"),
    ("evaluations", "evaluations", "{:,}"),
    ("TV", "tv_mean", "{:.3f}"),
    ("± seeds", "tv_std", "{:.3f}"),
    ("TV max", "tv_max", "{:.3f}"),
    ("KL", "kl_mean", "{:.3g}"),
    ("95 % HDR", "hdr95_iou", "{:.3f}"),
    ("90 % cover", "coverage90", "{:.3f}"),
    ("rank corr.", "spearman", "{:.3f}"),
    ("modes", "modes_found", "{:.0%}"),
)
SHOWN = ("one half a cell wide", "two parallel narrow", "three of different width", "four unequal", "banana")


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `certify.summarise` as a Markdown table, which reads as well in a terminal."""
    lines = [[title for title, _, _ in COLUMNS]]
    lines += [[pattern.format(row[key]) for _, key, pattern in COLUMNS] for row in rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(COLUMNS))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def save_figure(path: Path, scorers: Mapping[str, Scorer], mixtures: Sequence[Mixture], resolution: int = 50) -> None:
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
        truth = np.exp(mixture.log_masses(make_policy(mixture), grid))
        panels = [("true density", truth)]
        for method, scorer in scorers.items():
            result, estimate, _ = evaluate(method, scorer, mixture, 0, grid)
            panels.append((f"TV {result.tv:.3f}", estimate))
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
