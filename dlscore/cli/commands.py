"""The `dlscore` command: parse, call one library function, report. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from dlscore import __version__
from dlscore.cli import options as o
from dlscore.cli.computing import Way, choose_workers, run_compute
from dlscore.cli.converting import convert
from dlscore.common import console, progress

app = console.make_app(
    "dlscore",
    __version__,
    "Score a grid of PushT actions under a Diffusion Policy, once, into a cache that dlrender draws.",
)


@app.command()
def compute(
    policy_path: o.PolicyPath,
    dataset_repo_id: o.DatasetRepoId = None,
    dataset_root: o.DatasetRoot = None,
    policy_revision: o.PolicyRevision = None,
    dataset_revision: o.DatasetRevision = None,
    episodes: o.Episodes = None,
    episode_idx: o.EpisodeIdx = None,
    replay: o.Replay = "actions",
    observations: o.Observations = "recorded",
    block_pose: o.BlockPose = "auto",
    rename_map: o.RenameMap = "",
    task: o.Task = None,
    scoring_method: o.ScoringMethod = None,
    action_resolution: o.ActionResolution = 50,
    quality: o.Quality = "standard",
    samples: o.Samples = None,
    solver_steps: o.SolverSteps = None,
    noise_level: o.NoiseLevel = None,
    finest: o.Finest = None,
    density: o.Density = "executed",
    sampler: o.Sampler = "solver",
    kernel_px: o.KernelPx = 6.4,
    levels: o.Levels = 4,
    chunks: o.Chunks = 8,
    seed: o.Seed = 0,
    max_steps: o.MaxSteps = None,
    every: o.Every = 1,
    checkpoints: o.Checkpoints = None,
    device: o.Device = "auto",
    batch_size: o.BatchSize = None,
    output_dir: o.OutputDir = Path("data/cache"),
    dry_run: o.DryRun = False,
    force: o.Force = False,
    replace_stale: o.ReplaceStale = False,
    wait: o.Wait = 0.0,
    engine: o.Engine = "local",
    workers: o.NumWorkers = None,
    gpus_per_worker: o.GpusPerWorker = None,
    as_json: o.AsJson = False,
) -> None:
    """Replay expert episodes and score the action grid at each step, into one cache file per episode."""
    from dlscore.compute.settings import Options, Request
    from dlscore.scores.likelihood import choose_quality

    likelihood = choose_quality(
        quality, density=density, samples=samples, steps=solver_steps, level=noise_level, finest=finest, sampler=sampler,
        kernel_px=kernel_px)  # fmt: skip
    request = Request(
        policy_path=policy_path,
        policy_revision=policy_revision,
        dataset_repo_id=dataset_repo_id,
        dataset_root=dataset_root,
        dataset_revision=dataset_revision,
        episodes=str(episode_idx) if episode_idx is not None else episodes or "0",
        methods=[name for entry in scoring_method or ["likelihood"] for name in entry.split(",")],
        likelihood=likelihood,
        noise_pred={"levels": levels},
        resolution=action_resolution,
        max_steps=max_steps,
        every=every,
        chunks=chunks,
        seed=seed,
        replay=replay,
        observations=observations,
        block_pose=block_pose,
        rename_map=rename_map,
        task=task,
        device=device,
        batch_size=batch_size,
        output_dir=output_dir,
    )
    if episode_idx is not None and episodes is not None:
        raise typer.BadParameter("give --episodes or --episode-idx, not both")
    way = Way(checkpoints, dry_run, engine, workers, gpus_per_worker, as_json)
    run_compute(request, Options(force, replace_stale, wait), way)


@app.command()
def rollout(
    policy_path: o.PolicyPath,
    seeds: o.RolloutSeeds,
    output: o.RolloutOutput,
    policy_revision: o.PolicyRevision = None,
    environments: o.Environments = 1,
    max_steps: o.EpisodeLength = 300,
    device: o.Device = "auto",
    force: o.Force = False,
    wait: o.RolloutWait = 0.0,
    engine: o.Engine = "local",
    workers: o.NumWorkers = None,
    gpus_per_worker: o.GpusPerWorker = None,
    as_json: o.AsJson = False,
) -> None:
    """Let a policy act in gym-pusht as LeRobot's evaluation does, into a data set that compute takes."""
    from dlscore.cli import report
    from dlscore.rollout.run import run_rollouts
    from dlscore.rollout.settings import RolloutRequest, RolloutSettings, parse_seeds

    settings = RolloutSettings(parse_seeds(seeds), environments, max_steps)
    request = RolloutRequest(policy_path, settings, output, policy_revision, device, force, wait)
    found = run_rollouts(
        request, choose_workers(engine, workers, gpus_per_worker), watch=progress.steps, notice=report.note
    )
    typer.echo(json.dumps(found.as_dict()) if as_json else report.format_rollouts(found.as_dict()))


@app.command()
def inputs(
    policy_path: o.PolicyPath,
    dataset_repo_id: o.DatasetRepoId = None,
    dataset_root: o.DatasetRoot = None,
    policy_revision: o.PolicyRevision = None,
    dataset_revision: o.DatasetRevision = None,
    episodes: o.Episodes = None,
) -> None:
    """Print each episode and a digest of the files that decide its numbers, by path, size and time; for make."""
    from dlscore.compute.prepare import digest_request
    from dlscore.compute.settings import Request

    request = Request(policy_path, dataset_repo_id, dataset_root, policy_revision, dataset_revision, episodes or "0")
    typer.echo("\n".join(f"{index}:{digest}" for index, digest in digest_request(request).items()))


@app.command("slurm-template")
def slurm_template() -> None:
    """Print a job array for SLURM, to save, adapt and submit with sbatch."""
    from dlscore.compute.batch import SLURM_TEMPLATE

    typer.echo(SLURM_TEMPLATE.read_text(), nl=False)


@app.command()
def info(files: o.CacheFiles, as_json: o.Json = False) -> None:
    """Show what is in a cache: shapes, provenance, drift, done or partial."""
    from dlscore.cache.summary import summarize
    from dlscore.cli.report import format_cache

    found = [summarize(path) for path in files]
    typer.echo(json.dumps({"files": found}) if as_json else "\n\n".join(map(format_cache, found)))


@app.command()
def status(folders: o.CacheFolders, as_json: o.Json = False) -> None:
    """Show a table of the caches in folders: finished, partial or damaged, steps, methods, size."""
    from dlscore.cache.summary import read_status
    from dlscore.cli.report import format_status

    rows = read_status(folders)
    typer.echo(json.dumps({"caches": rows}) if as_json else format_status(rows))


@app.command()
def verify(files: o.CacheFiles, as_json: o.Json = False) -> None:
    """Read every number of caches: schema, shapes, seal, checksums, finite values, done steps."""
    from dlscore.cache.verify import verify_all
    from dlscore.cli.report import format_verified

    found, damaged = verify_all(files)
    if as_json:
        typer.echo(json.dumps({"files": found, "damaged": damaged}))
    elif found:
        typer.echo("\n".join(map(format_verified, found)))
    console.fail_if(damaged, len(files))


@app.command()
def merge(into: o.MergeInto, others: o.MergeOthers) -> None:
    """Give a finished cache the methods of other files of the same run; nothing is scored."""
    from dlscore.cache.merge import merge as merge_caches

    added = merge_caches(into, others)
    typer.echo(f"{into}: {', '.join(added) or 'nothing'} added")


@app.command()
def export(
    places: o.Exported,
    output: o.ExportOutput = Path("outputs/export"),
    scoring_method: o.ExportMethod = None,
    license: o.License = "unknown",
    push_to_hub: o.PushToHub = None,
    private: o.Private = True,
    as_json: o.Json = False,
) -> None:
    """Write the step table of caches as parquet with a dataset card, for datasets.load_dataset and the hub."""
    from dlscore.cli.exporting import export_as_asked, format_export

    found = export_as_asked(places, output, scoring_method, license, push_to_hub, private)
    typer.echo(json.dumps(found) if as_json else format_export(found))


app.command()(convert)


@app.command()
def certify(
    scoring_method: o.CertifiedMethods = None,
    quality: o.CertifiedQualities = None,
    levels: o.CertifiedLevels = 9,
    density: o.CertifiedDensity = "both",
    family: o.Family = "diffusion",
    schedule: o.Schedules = None,
    policies: o.Policies = None,
    random: o.Random = None,
    dataset_repo_id: o.ChunksRepoId = None,
    dataset_root: o.ChunksRoot = None,
    seeds: o.Seeds = 3,
    action_resolution: o.CertifiedResolution = 50,
    draws_dir: o.DrawsDir = None,
    figure: o.CertifyFigure = None,
    as_json: o.Json = False,
) -> None:
    """Compare the scores with policies whose density is known: total variation, KL, regions, ranks, modes."""
    from dlscore.cli.certification import Certification, certify_as_asked, format_certification

    request = Certification(
        scoring_method, quality, levels, density, family, schedule, policies, random, (dataset_repo_id, dataset_root), seeds,
        action_resolution, draws_dir, figure)  # fmt: skip
    rows, refused = certify_as_asked(request)
    typer.echo(json.dumps({"rows": rows, "refused": refused}) if as_json else format_certification(rows, refused))


def main() -> None:
    """Console entry point: every UserError is one line on stderr and its exit code."""
    sys.exit(console.run(app, "dlscore", "interrupted; the same command resumes with what is missing"))
