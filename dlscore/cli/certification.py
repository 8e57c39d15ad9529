"""`dlscore certify`: its options as one request, checked before anything is scored, and run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.common import progress
from dlscore.common.errors import UserError
from dlscore.scores.likelihood import QUALITIES
from dlscore.scores.methods import name_scorers

if TYPE_CHECKING:
    from dlscore.certify.mixtures import Mixture


METHODS = ("likelihood", "distance", "noise_pred")


@dataclass(frozen=True)
class Certification:
    """The options of `dlscore certify`, as given; `dataset` is (hub id, folder), `random` (seed, count)."""

    methods: Sequence[str] | None
    qualities: Sequence[str] | None
    levels: int
    density: str
    family: str
    schedules: str | None
    policies: str | None
    random: tuple[int, int] | None
    dataset: tuple[str | None, str | None]
    seeds: int
    resolution: int
    folder: Path | None
    figure: Path | None


def certify_as_asked(request: Certification) -> tuple[list[dict[str, Any]], list[str]]:
    """(the rows of `summary.summarise`, what scorers refused); saves the figure first if one is asked for."""
    methods, qualities = _split(request.methods or METHODS), _split(request.qualities or QUALITIES)
    scorers = name_scorers(methods, qualities, {"noise_pred": {"levels": request.levels}})

    from dlscore.certify import report
    from dlscore.certify.certify import certify, choose_densities, choose_mixtures
    from dlscore.certify.schedules import choose_schedules
    from dlscore.certify.summary import summarise

    densities, schedules = choose_densities(request.density), choose_schedules(request.schedules, request.family)
    fixed = () if request.policies == "none" else choose_mixtures(request.policies)
    mixtures = (*fixed, *_draw_fresh(request))
    if not mixtures:
        raise UserError("--policies none leaves nothing to certify; add --random SEED N")
    if request.figure is not None:
        shown = [each for each in fixed if each.name in report.SHOWN] if request.policies is None else fixed or mixtures
        report.save_figure(
            request.figure, scorers, shown, request.resolution, density=densities[0], folder=request.folder
        )
    refused: list[str] = []
    with progress.steps("certify", "runs") as tell:
        results = certify(
            scorers,
            mixtures=mixtures,
            schedules=schedules,
            densities=densities,
            seeds=range(request.seeds),
            family=request.family,
            resolution=request.resolution,
            folder=request.folder,
            progress=tell,
            refused=refused.append if len(schedules) > 1 else None,
        )
    return summarise(results, scorers), refused


def _draw_fresh(request: Certification) -> tuple[Mixture, ...]:
    # Named policies stand alone, unless fresh ones are asked for too.
    from dlscore.certify.fresh import RELEASE, cut_chunks, draw_mixtures

    random = request.random or (RELEASE if request.policies is None else None)
    given = any(request.dataset)
    if random is None:
        if given:
            raise UserError(
                "--dataset-root and --dataset-repo-id are for the chunks of fresh policies; add --random SEED N"
            )
        return ()
    if not given:
        return draw_mixtures(*random)
    from dlscore.compute.prepare import read_actions

    return draw_mixtures(*random, cut_chunks(read_actions(*request.dataset, None)))


def _split(entries: Iterable[str]) -> list[str]:
    return [name for entry in entries for name in entry.split(",")]


def format_certification(rows: Sequence[dict[str, Any]], refused: Sequence[str]) -> str:
    """The rows as a Markdown table, and a line for each refusal."""
    from dlscore.certify.report import format_table

    return "\n".join([*([format_table(rows)] if rows else []), *(f"refused: {each}" for each in refused)])
