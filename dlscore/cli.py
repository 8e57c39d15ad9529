"""The `dlscore` command: parse, call one library function, report. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dlscore import console, progress

app = console.make_app(
    "dlscore", "Score a grid of PushT actions under a Diffusion Policy, once, into a cache that dlrender draws."
)

DATA, SCORES, RUN = "Data and policy", "Scores", "Run"


@app.command()
def compute(
    policy_path: Annotated[str, typer.Option(help="Folder or hub id of the policy.", rich_help_panel=DATA)],
    dataset_repo_id: Annotated[str | None, typer.Option(help="Hub id of the data set.", rich_help_panel=DATA)] = None,
    dataset_root: Annotated[
        str | None,
        typer.Option(help="Folder of a LeRobotDataset v3.0, or a .zarr folder or .zip.", rich_help_panel=DATA),
    ] = None,
    policy_revision: Annotated[str | None, typer.Option(help="Revision on the hub.", rich_help_panel=DATA)] = None,
    dataset_revision: Annotated[str | None, typer.Option(help="Revision on the hub.", rich_help_panel=DATA)] = None,
    episodes: Annotated[
        str | None, typer.Option(help="Such as 3 or 0-9,12,20- or all.  [default: 0]", rich_help_panel=DATA)
    ] = None,
    episode_idx: Annotated[int | None, typer.Option(help="One episode.", rich_help_panel=DATA)] = None,
    replay: Annotated[
        str, typer.Option(help="actions: replay them; states: set each recorded state.", rich_help_panel=DATA)
    ] = "actions",
    observations: Annotated[
        str, typer.Option(help="What the policy sees: recorded, or replayed by gym-pusht.", rich_help_panel=DATA)
    ] = "recorded",
    block_pose: Annotated[
        str,
        typer.Option(
            help="Where the block's pose is from: state, keypoints, sister, image; auto: the first that can.",
            rich_help_panel=DATA,
        ),
    ] = "auto",
    rename_map: Annotated[
        str, typer.Option(help="JSON from the data set's names to the policy's.", rich_help_panel=DATA)
    ] = "",
    scoring_method: Annotated[
        list[str] | None,
        typer.Option(
            help="likelihood, distance, noise_pred; repeat or separate by commas.  [default: likelihood]",
            rich_help_panel=SCORES,
        ),
    ] = None,
    action_resolution: Annotated[int, typer.Option(help="Cells a side of the grid.", rich_help_panel=SCORES)] = 50,
    quality: Annotated[
        str,
        typer.Option(help="likelihood: draft, standard or reference; what follows changes it.", rich_help_panel=SCORES),
    ] = "standard",
    samples: Annotated[
        int | None, typer.Option(help="likelihood: chunks, a power of 2.", rich_help_panel=SCORES)
    ] = None,
    solver_steps: Annotated[
        int | None, typer.Option(help="likelihood: steps of the solver.", rich_help_panel=SCORES)
    ] = None,
    noise_timestep: Annotated[
        int | None, typer.Option(help="likelihood: the coarser noise level, where it stops.", rich_help_panel=SCORES)
    ] = None,
    sampler: Annotated[
        str, typer.Option(help="likelihood: solver, or policy: its own sampler, slow.", rich_help_panel=SCORES)
    ] = "solver",
    levels: Annotated[int, typer.Option(help="noise_pred: noise levels.", rich_help_panel=SCORES)] = 4,
    chunks: Annotated[
        int, typer.Option(min=1, help="Chunks drawn from the policy a step.", rich_help_panel=SCORES)
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all noise.", rich_help_panel=SCORES)] = 0,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many steps.", rich_help_panel=RUN)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=RUN)] = "auto",
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Chunks through the network at once.  [default: 256; GPU 2048]", rich_help_panel=RUN),
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder of the caches.", rich_help_panel=RUN)] = Path("data/cache"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.", rich_help_panel=RUN)] = False,
    force: Annotated[bool, typer.Option("--force", help="Start over whatever is there.", rich_help_panel=RUN)] = False,
    replace_stale: Annotated[
        bool, typer.Option("--replace-stale", help="Start over where the settings differ.", rich_help_panel=RUN)
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a cache that another run is writing.", rich_help_panel=RUN)
    ] = 0.0,
    engine: Annotated[
        str, typer.Option(help="local: this process; ray: workers of Ray, here or on a cluster.", rich_help_panel=RUN)
    ] = "local",
    workers: Annotated[int, typer.Option(help="ray: how many.", rich_help_panel=RUN)] = 2,
    gpus_per_worker: Annotated[float, typer.Option(help="ray: GPUs of each, such as 0.5.", rich_help_panel=RUN)] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.", rich_help_panel=RUN)] = False,
) -> None:
    """Replay expert episodes and score the action grid at each step, into one cache file an episode."""
    from dlscore.compute_request import Request, load, open_request
    from dlscore.scorers import choose_quality

    request = Request(
        policy_path=policy_path,
        policy_revision=policy_revision,
        dataset_repo_id=dataset_repo_id,
        dataset_root=dataset_root,
        dataset_revision=dataset_revision,
        episodes=str(episode_idx) if episode_idx is not None else episodes or "0",
        methods=[name for entry in scoring_method or ["likelihood"] for name in entry.split(",")],
        likelihood=choose_quality(
            quality, samples=samples, steps=solver_steps, timestep=noise_timestep, sampler=sampler
        ),
        noise_pred={"levels": levels},
        resolution=action_resolution,
        max_steps=max_steps,
        chunks=chunks,
        seed=seed,
        replay=replay,
        observations=observations,
        block_pose=block_pose,
        rename_map=rename_map,
        device=device,
        batch_size=batch_size,
        output_dir=output_dir,
    )
    if episode_idx is not None and episodes is not None:
        raise typer.BadParameter("give --episodes or --episode-idx, not both")
    if engine not in ("local", "ray"):
        raise typer.BadParameter(f"--engine {engine} does not exist; choose from local, ray")
    source, indices, settings = open_request(request, rewrite=force or replace_stale)

    from dlscore import batch, report
    from dlscore.plan import plan_episodes

    if dry_run:
        rows = plan_episodes(load(request, source, settings), source, indices, settings, output_dir, force)
        typer.echo(json.dumps({"episodes": rows}) if as_json else report.format_plan(rows))
        raise typer.Exit(3 if any(row["state"] == "failed" for row in rows) else 0)
    options = batch.Options(output_dir, force, replace_stale, wait)
    if engine == "ray":
        from dlscore import ray_engine

        use = ray_engine.Workers(workers, gpus_per_worker)
        results = ray_engine.run(request, indices, options, use, report.note)
    else:
        policy = load(request, source, settings)
        results = batch.local(
            policy, source, indices, settings, options, lambda k: progress.steps(f"episode {k}"), report.note
        )
    report.end(batch.collect(results, indices, report.tell_trouble if as_json else report.show), as_json)


@app.command()
def info(
    files: Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/episode_000.h5.")],
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")] = False,
) -> None:
    """Show what is in a cache: shapes, provenance, drift, done or partial."""
    from dlscore.info import describe_cache, format_cache

    described = [describe_cache(path) for path in files]
    typer.echo(json.dumps({"files": described}) if as_json else "\n\n".join(map(format_cache, described)))


@app.command()
def status(
    folders: Annotated[list[Path], typer.Argument(help="Folders of caches, such as data/cache.")],
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")] = False,
) -> None:
    """Show a table of the caches in folders: finished, partial or damaged, steps, methods, size."""
    from dlscore.status import format_status, read_status

    rows = read_status(folders)
    typer.echo(json.dumps({"caches": rows}) if as_json else format_status(rows))


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/*.h5.")],
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")] = False,
) -> None:
    """Read every number of caches: schema, shapes, seal, checksums, finite values, done steps."""
    from dlscore.care import format_verified, verify_all

    found, damaged = verify_all(files)
    if as_json:
        typer.echo(json.dumps({"files": found, "damaged": damaged}))
    elif found:
        typer.echo("\n".join(map(format_verified, found)))
    console.fail_if(damaged, len(files))


@app.command()
def merge(
    into: Annotated[Path, typer.Argument(help="The cache that gains methods.")],
    others: Annotated[list[Path], typer.Argument(help="Caches of the same run with other methods.")],
) -> None:
    """Give a finished cache the methods of other files of the same run; nothing is scored."""
    from dlscore.care import merge as library

    added = library(into, others)
    typer.echo(f"{into}: {', '.join(added) or 'nothing'} added")


@app.command()
def certify(
    scoring_method: Annotated[
        list[str] | None, typer.Option(help="likelihood, distance, noise_pred; several as in compute.  [default: all]")
    ] = None,
    quality: Annotated[
        list[str] | None, typer.Option(help="Budgets of likelihood: draft, standard, reference.  [default: all]")
    ] = None,
    levels: Annotated[int, typer.Option(help="noise_pred: noise levels.")] = 9,
    policies: Annotated[str | None, typer.Option(help="Analytic policies by name, separated by commas.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of the noise.")] = 3,
    action_resolution: Annotated[int, typer.Option(help="Cells a side of the grid.")] = 50,
    figure: Annotated[Path | None, typer.Option(help="Draw true and estimated densities: .png, .pdf or .svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")] = False,
) -> None:
    """Compare the scores with policies whose density is known: total variation, KL, regions, ranks, modes."""
    from dlscore.scorers import QUALITIES, name_scorers

    methods = [name for entry in scoring_method or ["likelihood,distance,noise_pred"] for name in entry.split(",")]
    qualities = [name for entry in quality or QUALITIES for name in entry.split(",")]
    scorers = name_scorers(methods, qualities, {"noise_pred": {"levels": levels}})

    from dlscore import certify_report
    from dlscore.certify import certify, choose_mixtures, summarise

    mixtures = choose_mixtures(policies)
    shown = mixtures if policies else [mixture for mixture in mixtures if mixture.name in certify_report.SHOWN]
    if figure is not None:
        certify_report.draw(figure, scorers, shown, action_resolution)
    with progress.steps("certify", "runs") as report:
        results = certify(scorers, mixtures=mixtures, seeds=range(seeds), resolution=action_resolution, progress=report)
    rows = summarise(results, scorers)
    typer.echo(json.dumps({"rows": rows}) if as_json else certify_report.format_table(rows))


def main() -> None:
    """Console entry point: every UserError is one line on stderr and its exit code."""
    sys.exit(console.run(app, "dlscore", "interrupted; the same command goes on with what is missing"))
