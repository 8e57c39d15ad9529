"""`dlscore compute` as one call: plan or run a request, for one policy or for every checkpoint of a training run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from dlscore.common import progress
from dlscore.common.choices import suggest

if TYPE_CHECKING:
    from dlscore.compute.batch import Summary
    from dlscore.compute.ray_engine import Workers
    from dlscore.compute.settings import Options, Request

__all__ = ["Way", "choose_workers", "run_compute"]

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Way:
    """How a request is computed and reported, as given; typer.BadParameter for what does not go together."""

    checkpoints: str | None
    dry_run: bool
    engine: str
    workers: int | None
    gpus_per_worker: float | None
    as_json: bool

    def __post_init__(self) -> None:
        check_engine(self.engine, self.workers, self.gpus_per_worker)


def check_engine(engine: str, workers: int | None, gpus_per_worker: float | None) -> None:
    """Raise typer.BadParameter for an engine that there is not, and for workers of an engine that has none."""
    if engine not in ENGINES:
        raise typer.BadParameter(f"invalid value {engine!r} for --engine; {suggest(engine, ENGINES)}")
    if engine != "ray" and (workers is not None or gpus_per_worker is not None):
        raise typer.BadParameter("--workers and --gpus-per-worker are of --engine ray; add it, or leave them out")


def choose_workers(engine: str, workers: int | None, gpus_per_worker: float | None) -> Workers | None:
    """Ray's workers as asked for, or None for the local engine; typer.BadParameter as `check_engine`."""
    check_engine(engine, workers, gpus_per_worker)
    if engine != "ray":
        return None
    from dlscore.compute.ray_engine import Workers

    return Workers(2 if workers is None else workers, gpus_per_worker or 0.0)


def run_compute(request: Request, options: Options, way: Way) -> None:
    """Compute or plan the request, and report. Raises BatchError if episodes failed."""
    requests = {"": (request, options)}
    if way.checkpoints is not None:
        requests = dict(_of_checkpoints(request, options, way.checkpoints))
    if way.dry_run:
        _plan_all(requests, way.as_json)
    else:
        _compute_all(requests, way)


def _of_checkpoints(request: Request, options: Options, chosen: str) -> Iterator[tuple[str, tuple[Request, Options]]]:
    # Each into a folder of its own; those after the first take frames and replay from the first's caches.
    from dlscore.policy.checkpoints import choose_checkpoints

    first = None
    for name, folder in choose_checkpoints(request.policy_path, chosen).items():
        into = request.output_dir / name
        own = options if first is None else replace(options, replay_from=first)
        first = first or into
        yield name, (replace(request, policy_path=str(folder), policy_revision=None, output_dir=into), own)


def _plan_all(requests: Mapping[str, tuple[Request, Options]], as_json: bool) -> None:
    from dlscore.cli import report
    from dlscore.compute.plan import plan_episodes
    from dlscore.compute.prepare import load_run, open_request

    planned = {}
    for name, (request, options) in requests.items():
        dataset, indices, settings = open_request(request, rewrite=options.rewrites, watch=progress.steps)
        run = load_run(request, dataset, settings, report.note)
        planned[name] = plan_episodes(run, indices, request.output_dir, options.force)
    if as_json:
        tables = {name: {"episodes": rows} for name, rows in planned.items()}
        typer.echo(json.dumps(tables.get("", {"checkpoints": tables})))
    else:
        typer.echo("\n".join(_titled(name, report.format_plan(rows)) for name, rows in planned.items()))
    raise typer.Exit(3 if any(row["state"] == "failed" for rows in planned.values() for row in rows) else 0)


def _titled(name: str, text: str) -> str:
    return f"checkpoint {name}\n{text}" if name else text


def _compute_all(requests: Mapping[str, tuple[Request, Options]], way: Way) -> None:
    from dlscore.cli import report

    summaries: dict[str, Summary] = {}
    for name, (request, options) in requests.items():
        if name:
            report.note(f"checkpoint {name} ({len(summaries) + 1} of {len(requests)})")
        summaries[name] = _compute(request, options, way)
        if not way.as_json:
            report.tell_summary(summaries[name])
        if summaries[name].interrupted:
            break
    report.end(summaries, way.as_json)


def _compute(request: Request, options: Options, way: Way) -> Summary:
    from dlscore.cli import report
    from dlscore.compute import batch
    from dlscore.compute.current import find_current
    from dlscore.compute.prepare import load_run, open_request

    dataset, indices, settings = open_request(request, rewrite=options.rewrites, watch=progress.steps)
    workers = choose_workers(way.engine, way.workers, way.gpus_per_worker)
    current = [] if options.force else find_current(request, dataset, indices, settings)
    if current:
        results = iter([batch.EpisodeResult(each.episode, each.path, each) for each in current])
    elif workers is not None:
        from dlscore.compute import ray_engine

        steps = {index: settings.count_steps(dataset.lengths[index]) for index in indices}
        results = ray_engine.run_ray(request, steps, options, workers, watch=progress.steps, notice=report.note)
    else:
        run = load_run(request, dataset, settings, report.note)
        results = batch.run_local(run, indices, request.output_dir, options, watch=progress.steps, notice=report.note)
    return batch.collect(results, indices, report.tell_trouble if way.as_json else report.show)
