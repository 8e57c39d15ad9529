"""The README tells of every option, and the make targets it names exist."""

import re
from dataclasses import fields

import pytest
import typer
from support import ROOT

from dlrender import cli
from dlrender.overlays import OVERLAYS
from dlrender.style.toml import bundled
from dlscore.cli import commands

README = (ROOT / "README.md").read_text()
STYLES = (ROOT / "dlrender" / "style" / "README.md").read_text()


def options():
    for program in (commands, cli):
        for command in typer.main.get_command(program.app).commands.values():
            for parameter in command.params:
                for name in parameter.opts:
                    if name.startswith("--") and name not in ("--output",):
                        yield name


@pytest.mark.parametrize("name", sorted(set(options())))
def test_every_option_is_in_the_readme(name):
    assert re.search(rf"{name}(?![\w-])", README), f"{name} is not in README.md"


def test_every_overlay_and_style_is_in_the_style_reference():
    shared = {"panel", "color", "linewidth", "size", "alpha", "edge", "fontsize"}
    for name, overlay in OVERLAYS.items():
        assert f"`{name}`" in STYLES
        for field in fields(overlay):
            assert f"`{field.name}`" in STYLES, (name, field.name)
            row = next(line for line in STYLES.splitlines() if line.startswith("| `") and f"`{name}`" in line)
            assert field.name in shared or f"`{field.name}`" in row, (name, field.name)
    for name in bundled():
        assert f"| `{name}` |" in STYLES


def test_every_target_that_the_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^    |`)make ([a-z][a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_picture_is_there_and_small():
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / name).stat().st_size <= 500_000
