"""The options of `dlscore`, each with its type and help; the commands say which they take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dlscore.cli import complete

DATA, SCORES, RUN = "Data and policy", "Scores", "Run"


def _option(*names: str, help: str, panel: str | None = None, **limits: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **limits)


# ---- data and policy -------------------------------------------------------------------------------------------------

PolicyPath = Annotated[str, _option(help="Folder or hub id of the policy.", panel=DATA)]
PolicyRevision = Annotated[str | None, _option(help="Revision on the hub.", panel=DATA)]
DatasetRepoId = Annotated[str | None, _option(help="Hub id of the data set.", panel=DATA)]
DatasetRoot = Annotated[
    str | None, _option(help="Folder of a LeRobotDataset v3.0, or a .zarr folder or .zip.", panel=DATA)
]
DatasetRevision = Annotated[str | None, _option(help="Revision on the hub.", panel=DATA)]
Episodes = Annotated[str | None, _option(help="Such as 3 or 0-9,12,20- or all.  [default: 0]", panel=DATA)]
EpisodeIdx = Annotated[int | None, _option(help="One episode.", panel=DATA)]
Replay = Annotated[str, _option(help="actions: replay them; states: set each recorded state.", panel=DATA)]
Observations = Annotated[str, _option(help="What the policy sees: recorded, or replayed by gym-pusht.", panel=DATA)]
BlockPose = Annotated[
    str,
    _option(
        help="Source of the block's pose: state, keypoints, companion (data set), image; auto: the first available.",
        panel=DATA,
    ),
]
Task = Annotated[
    str | None,
    _option(help="Text for a policy that takes one.  [default: the data set's]", panel=DATA),
]
RenameMap = Annotated[str, _option(help="JSON from the data set's names to the policy's.", panel=DATA)]

# ---- scores ----------------------------------------------------------------------------------------------------------

ScoringMethod = Annotated[
    list[str] | None,
    _option(
        help="likelihood, distance, noise_pred; repeat or separate by commas.  [default: likelihood]",
        panel=SCORES,
        autocompletion=complete.methods,
    ),
]
ActionResolution = Annotated[int, _option(help="Cells a side of the grid.", panel=SCORES)]
Quality = Annotated[
    str,
    _option(
        help="likelihood: draft, standard or reference; the options below override it.",
        panel=SCORES,
        autocompletion=complete.qualities,
    ),
]
Density = Annotated[
    str, _option(help="likelihood: executed, of what the policy does; model, of what its network models.", panel=SCORES)
]
Samples = Annotated[int | None, _option(help="likelihood: chunks, a power of 2.", panel=SCORES)]
SolverSteps = Annotated[int | None, _option(help="likelihood: solver steps to the coarse noise level.", panel=SCORES)]
NoiseLevel = Annotated[float | None, _option(help="likelihood: the coarse noise level, as σ/α.", panel=SCORES)]
Finest = Annotated[int | None, _option(help="likelihood: chunks at the finest level; 0 for none.", panel=SCORES)]
Sampler = Annotated[str, _option(help="likelihood: solver, or policy: its own sampler, slow.", panel=SCORES)]
KernelPx = Annotated[
    float, _option(help="likelihood of a policy of atoms: deviation of the Gaussian of each, px.", panel=SCORES)
]
Levels = Annotated[int, _option(help="noise_pred: noise levels.", panel=SCORES)]
Chunks = Annotated[int, _option(help="Chunks drawn from the policy per step.", panel=SCORES, min=1)]
Seed = Annotated[int, _option(help="Seed of all noise.", panel=SCORES, min=0)]

# ---- run -------------------------------------------------------------------------------------------------------------

MaxSteps = Annotated[int | None, _option(help="Stop after this many steps.", panel=RUN, min=1)]
Every = Annotated[int, _option(help="Score each fifth step with 5, for a fifth of the cost.", panel=RUN, min=1)]
Checkpoints = Annotated[
    str | None,
    _option(help="Of a training run at --policy-path: all, or 1000,5000; each into a folder of its own.", panel=DATA),
]
Device = Annotated[str, _option(help="auto, cpu, cuda, cuda:1, mps.", panel=RUN)]
BatchSize = Annotated[
    int | None, _option(help="Chunks through the network at once.  [default: 256; GPU 2048]", panel=RUN, min=1)
]
OutputDir = Annotated[Path, _option(help="Folder of the caches.", panel=RUN)]
DryRun = Annotated[bool, _option("--dry-run", help="Show what would be done.", panel=RUN)]
Force = Annotated[bool, _option("--force", help="Start over whatever exists.", panel=RUN)]
ReplaceStale = Annotated[bool, _option("--replace-stale", help="Start over where the settings differ.", panel=RUN)]
Wait = Annotated[float, _option(help="Seconds to wait for a cache that another run is writing.", panel=RUN, min=0)]
Engine = Annotated[str, _option(help="local: this process; ray: workers of Ray, here or on a cluster.", panel=RUN)]
NumWorkers = Annotated[int | None, _option("--workers", help="ray: how many.  [default: 2]", panel=RUN)]
GpusPerWorker = Annotated[float | None, _option(help="ray: GPUs of each, such as 0.5.  [default: 0]", panel=RUN)]
AsJson = Annotated[bool, _option("--json", help="Report as JSON on stdout.", panel=RUN)]

# ---- rollouts --------------------------------------------------------------------------------------------------------

RolloutSeeds = Annotated[str, _option("--seeds", help="Of the environments, such as 0-99 or 0-9,12.", panel=DATA)]
RolloutOutput = Annotated[Path, _option("--output", "-o", help="Folder of the new data set.", panel=RUN)]
Environments = Annotated[int, _option(help="How many act together, as LeRobot's --eval.batch_size.", panel=RUN, min=1)]
EpisodeLength = Annotated[int, _option("--max-steps", help="The time limit.", panel=RUN, min=1)]
RolloutWait = Annotated[
    float, _option("--wait", help="Seconds to wait for another run on the folder.", panel=RUN, min=0)
]

# ---- convert ---------------------------------------------------------------------------------------------------------

ConvertFile = Annotated[Path, typer.Argument(help="A .ckpt of the Diffusion Policy project.")]
ConvertFolder = Annotated[Path, typer.Argument(help="Folder of the policy, which must not exist yet.")]

# ---- export ----------------------------------------------------------------------------------------------------------

Exported = Annotated[list[Path], typer.Argument(help="Caches, or folders of them, such as data/cache.")]
ExportOutput = Annotated[Path, _option("--output", "-o", help="Folder of the tables and their card.")]
ExportMethod = Annotated[
    str | None, _option("--scoring-method", help="The density to ask.  [default: likelihood, if present]")
]
License = Annotated[str, _option(help="Of the tables, by the hub's name: mit, apache-2.0, cc-by-4.0, …")]
PushToHub = Annotated[str | None, _option(help="Also upload to this data set of the hub, such as me/pusht-steps.")]
Private = Annotated[bool, _option(help="Whether a data set that is made on the hub is private.")]

# ---- caches and certification ----------------------------------------------------------------------------------------

Json = Annotated[bool, _option("--json", help="Report as JSON on stdout.")]
CacheFiles = Annotated[list[Path], typer.Argument(help="Caches, such as data/cache/episode_000.h5.")]
CacheFolders = Annotated[list[Path], typer.Argument(help="Folders of caches, such as data/cache.")]
MergeInto = Annotated[Path, typer.Argument(help="The cache that gains methods.")]
MergeOthers = Annotated[list[Path], typer.Argument(help="Caches of the same run with other methods.")]
CertifiedMethods = Annotated[
    list[str] | None,
    _option("--scoring-method", help="likelihood, distance, noise_pred; several as in compute.  [default: all]"),
]
CertifiedQualities = Annotated[
    list[str] | None,
    _option("--quality", help="Budgets of likelihood: draft, standard, reference.  [default: all]"),
]
CertifiedLevels = Annotated[int, _option("--levels", help="noise_pred: noise levels.")]
Policies = Annotated[
    str | None, _option(help="Analytic policies by name, separated by commas, or none.  [default: the fixed set]")
]
CertifiedDensity = Annotated[
    str, _option("--density", help="The truth: executed, by the policy's own sampler; model, by its network; both.")
]
Family = Annotated[str, _option(help="Whose policies: diffusion or multi_task_dit.")]
Schedules = Annotated[
    str | None,
    _option("--schedule", help="Noise schedules by name, separated by commas, or all.  [default: cosine; flow]"),
]
Random = Annotated[
    tuple[int, int] | None,
    _option("--random", metavar="SEED N", help="Add N fresh random policies drawn from SEED.  [default: 1 30]"),
]
ChunksRepoId = Annotated[
    str | None, _option("--dataset-repo-id", help="Hub id of a data set: fresh policies also from its chunks.")
]
ChunksRoot = Annotated[str | None, _option("--dataset-root", help="The same, a folder or a .zarr folder or .zip.")]
DrawsDir = Annotated[
    Path | None, _option(help="Folder that keeps draws of executed densities.  [default: the user's cache folder]")
]
Seeds = Annotated[int, _option(help="How many seeds of the noise.", min=1)]
CertifiedResolution = Annotated[int, _option("--action-resolution", help="Cells a side of the grid.")]
CertifyFigure = Annotated[
    Path | None, _option("--figure", help="Draw true and estimated densities: .png, .pdf or .svg.")
]
