"""The examples of dlrender/README.md run, and its tables are complete."""

import inspect
import os
import re

import pytest
from support import ROOT
from support.synthetic import write_cache

import dlrender

README = (ROOT / "dlrender" / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
WRITTEN = [["mine.pdf"], ["sheet.pdf", "step.pdf"], ["outputs"], ["future.png"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    write_cache(folder / "data" / "cache" / "episode_000.h5", steps=42)
    return folder


@pytest.mark.parametrize(("example", "written"), list(zip(EXAMPLES, WRITTEN, strict=True)))
def test_an_example_runs(folder, monkeypatch, example, written):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "agg")
    before = set(os.listdir())
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    assert sorted(set(os.listdir()) - before) == written


def test_the_table_of_names_has_the_parameters():
    for name in ("plot_step", "plot_environment", "plot_sheet", "render"):
        (row,) = re.findall(rf"\| `{name}\((.*)\)` \|", README)
        written = [part.partition("=")[0].strip() for part in row.split(",")]
        expected = list(inspect.signature(getattr(dlrender, name)).parameters)
        assert [each.lstrip("*") for each in written if each != "*" and each != ")"] == expected
