"""`dlscore convert`."""

from __future__ import annotations

import typer

from dlscore.cli import options as o


def convert(checkpoint: o.ConvertFile, folder: o.ConvertFolder) -> None:
    """Write a .ckpt of the Diffusion Policy project (its U-Net on keypoints) as a policy; nothing of the file is run."""
    from dlscore.convert.convert import convert as convert_file

    found = convert_file(checkpoint, folder)
    typer.echo(f"{found.folder}: {found.parameters:,} parameters; score it with --policy-path {found.folder}")
