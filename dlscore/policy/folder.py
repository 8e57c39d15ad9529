"""Finding a policy: a folder, the folder of a training run, or a hub id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from dlscore.common.hub import HubError, Repository, find_snapshot, is_hub_id

ADAPTER = "adapter_config.json"  # what PEFT writes beside its adapter
CONFIG_FILES = ["config.json", ADAPTER]
PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")
POLICY_FILES = ["model.safetensors", "policy_preprocessor*", "policy_postprocessor*"]


def resolve_policy(
    path_or_id: str, revision: str | None = None, check: Callable[[Path], object] = lambda folder: None
) -> tuple[Path, str]:
    """(folder, resolved revision) of a checkpoint: a folder, that of a training run, or a hub id.

    `check` is called with the folder when it holds config.json, before the weights are fetched.
    """
    folder = Path(path_or_id)
    try:
        there = folder.exists()
        found, below = _in_training_run(folder) if there else (folder, "")
    except (OSError, RuntimeError) as error:  # no permission, a name too long, links in a circle
        raise HubError(f"policy {path_or_id} cannot be read ({type(error).__name__}: {error})") from error
    if there:
        if revision is not None:
            raise HubError(
                f"--policy-revision {revision} is a hub revision, but policy {path_or_id} is a local folder: leave it out"
            )
        check(found)
        return found, f"local {below}".strip()
    if not is_hub_id(path_or_id):
        raise HubError(f"policy {path_or_id} is neither a folder nor a hub id such as lerobot/diffusion_pusht")
    check(find_snapshot(Repository(path_or_id, "model", [revision], CONFIG_FILES, ["config.json"])))
    files = [*CONFIG_FILES, *POLICY_FILES]
    found = find_snapshot(Repository(path_or_id, "model", [revision], files, ["model.safetensors"]))
    return found, found.name


def _in_training_run(folder: Path) -> tuple[Path, str]:
    # LeRobot writes <run>/checkpoints/<step>/pretrained_model, and a link <run>/checkpoints/last.
    if folder.is_file():
        raise HubError(_of_file(folder))
    if (folder / "config.json").is_file():
        return folder, ""
    base = folder.resolve()
    root, numbered = numbered_checkpoints(base)
    for candidate in (base, (root / "last").resolve(), *reversed(numbered)):
        model = candidate / "pretrained_model"
        # Completely saved. An adapter, which is refused when it is read, has other weights.
        files = {name for name in ("config.json", "model.safetensors", ADAPTER) if (model / name).is_file()}
        if "config.json" in files and len(files) > 1:
            return model, str(model.relative_to(base) if model.is_relative_to(base) else model.name)
    raise HubError(
        f"policy folder {folder} has no config.json, nor checkpoints/*/pretrained_model/config.json; give the folder that "
        "save_pretrained wrote, or that of a training run"
    )


def numbered_checkpoints(run: Path) -> tuple[Path, list[Path]]:
    """The folder of a training run's checkpoints, and those that are named by their step, earliest first, whole or not."""
    root = run / "checkpoints" if (run / "checkpoints").is_dir() else run
    steps = [path for path in root.glob("[0-9]*") if path.name.isascii() and path.name.isdigit()]
    return root, sorted(steps, key=lambda path: int(path.name))


def _of_file(file: Path) -> str:
    if file.suffix in (".ckpt", ".pt", ".pth", ".pkl", ".bin"):
        return (
            f"policy {file} is a pickle, as the Diffusion Policy project saves its checkpoints; a pickle can run any program, so "
            "dlscore never opens one as a policy: dlscore convert makes a folder of the project's U-Net on keypoints, without "
            "running anything; or give the folder of a LeRobot policy, or a hub id such as lerobot/diffusion_pusht"
        )
    return f"policy {file} is a file; give the folder that it is in"


def checkpoint_files(folder: Path) -> list[Path]:
    """The files of a checkpoint that decide its numbers: config, weights and processors."""
    processors = [folder / name for name in PROCESSORS if (folder / name).is_file()]
    return sorted([folder / "config.json", *folder.glob("*.safetensors"), *processors])


def fingerprint(folder: Path) -> str:
    """SHA-256 of a checkpoint's files, by name and content."""
    digest = hashlib.sha256()
    for file in checkpoint_files(folder):
        with file.open("rb") as handle:
            digest.update(file.name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()
