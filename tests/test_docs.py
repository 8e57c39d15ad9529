"""The documents tell the truth: commands and code in them run, links resolve, every option and target is there."""

import glob
import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from support import ROOT
from support.known import gaussian
from support.synthetic import write_cache

from dlrender import cli
from dlrender.overlays import OVERLAYS
from dlrender.style.toml import bundled
from dlscore.cli import commands

# Not those of a virtual environment, or of what the recipes make.
PLACES = (
    "*.md",
    ".github/*.md",
    "dlscore/**/*.md",
    "dlrender/**/*.md",
    "tests/**/*.md",
    "data/*.md",
    "data/examples/*.md",
)
DOCUMENTS = sorted(path for place in PLACES for path in ROOT.glob(place))
ROOMS = sorted(path.parent for path in ROOT.glob("dlscore/*/__init__.py"))
FOLDERS = [
    *ROOMS,
    *(
        ROOT / name
        for name in (
            "dlscore",
            "dlrender",
            "dlrender/style",
            "dlrender/answers",
            "dlrender/page",
            "data",
            "data/examples",
            "tests/bench",
        )
    ),
]
EXAMPLES = ROOT / "data" / "examples"
QUICK = (
    "--max-steps",
    "3",
    "--chunks",
    "1",
    "--action-resolution",
    "20",
    "--samples",
    "16",
)  # added to a document's `dlscore compute`


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language. `console` blocks are shown only: they need a network, a cluster or time."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def prose(document: Path) -> str:
    """The text without code blocks, whose brackets are no links."""
    text = re.sub(r"^\s*```.*?^\s*```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to headings: lower case, spaces as dashes, punctuation dropped."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ---- what runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def long_cache(tmp_path_factory) -> Path:
    """A cache as long as the demo's first episode, of three methods, one with its density, made without a policy."""
    path = tmp_path_factory.mktemp("long") / "episode_000.h5"
    return write_cache(
        path, steps=78, methods=("likelihood", "distance", "noise_pred"), mixture=gaussian([256, 256], 30)
    )


@pytest.fixture
def checkout(tmp_path, monkeypatch, long_cache):
    """A temporary directory that looks like a checkout after `make demo`, as the working directory."""
    (tmp_path / "data" / "cache").mkdir(parents=True)
    (tmp_path / "data" / "examples" / "gallery").mkdir(parents=True)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "data" / "demo").symlink_to(ROOT / "data" / "demo")
    (tmp_path / "data" / "cache" / "episode_000.h5").symlink_to(long_cache)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield tmp_path
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def shell_commands() -> list[str]:
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.strip() and not line.startswith("source ")]


@pytest.mark.parametrize("line", shell_commands())
def test_every_command_of_the_readme_runs(line, checkout, command):
    program, *words = shlex.split(line, comments=True)
    words = [name for word in words for name in (sorted(glob.glob(word)) or [word])]
    if program == "make":
        done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    if (program, words[0]) == ("dlscore", "compute"):
        (checkout / "data" / "cache" / "episode_000.h5").unlink()
        words += QUICK
    before = {path for path in checkout.rglob("*") if path.is_file()}
    code, out, err = command({"dlscore": commands, "dlrender": cli}[program], *words)
    assert code == 0, err
    assert out
    if words[0] not in ("info", "status", "verify"):
        assert {path for path in checkout.rglob("*") if path.is_file()} - before


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if blocks(path, "python")], ids=relative)
def test_the_python_of_a_document_runs(document, checkout, capsys):
    for code in blocks(document, "python"):
        exec(compile(code, relative(document), "exec"), {"__name__": "document"})


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=relative)
def test_an_example_draws_its_picture(script, checkout):
    exec(compile(script.read_text(), script.name, "exec"), {"__name__": "__main__"})
    assert (checkout / "data" / "examples" / "gallery" / f"{script.stem}.png").stat().st_size > 5000
    assert (EXAMPLES / "gallery" / f"{script.stem}.png").is_file()
    assert f"gallery/{script.stem}.png" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=relative)
def test_a_notebook_runs(notebook, checkout, capsys):
    if "xarray" in notebook.read_text():
        pytest.importorskip("xarray")
        pytest.importorskip("h5netcdf")
    cells = json.loads(notebook.read_text())["cells"]
    names: dict[str, object] = {"__name__": notebook.stem}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "outputs are not committed"
            exec(compile("".join(cell["source"]), f"{notebook.name}[{number}]", "exec"), names)


def test_a_scorer_of_a_document_scores(checkout, capsys):
    """The scorer that dlscore/scores shows goes the whole way, from outside."""
    import dlscore

    names: dict[str, object] = {"__name__": "document"}
    exec(blocks(ROOT / "dlscore" / "scores" / "README.md", "python")[0], names)
    policy = dlscore.load_policy("data/demo/policy", device="cpu")
    dataset = dlscore.open_dataset(root="data/demo/episodes")
    settings = dlscore.Settings(scorers=[names["GaussianFit"]()], max_steps=2, chunks=2)
    outcome = dlscore.compute_episode(dlscore.Run(policy, dataset, settings), 0, "outputs/episode_000.h5")
    with dlscore.open_cache(outcome.path) as cache:
        assert cache.methods == ("gaussian_fit",)
        assert cache.is_density("gaussian_fit")


# ---- what is told ------------------------------------------------------------------------------------------------------


def test_the_readme_is_a_front_door():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_relative_link_resolves(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("folder", FOLDERS, ids=relative)
def test_every_room_says_first_what_it_is_for(folder):
    title, _, *rest = (folder / "README.md").read_text().split("\n")
    assert title.startswith("# ")
    first = " ".join(rest).strip()
    sentence = re.match(r"[A-Z][^|#]*?[.:](?=\s|$)", first)
    assert sentence, f"{relative(folder)}/README.md starts with no sentence: {first[:80]!r}"
    assert len(sentence[0].split()) >= 6, sentence[0]


@pytest.mark.parametrize("room", [*ROOMS, ROOT / "dlrender" / "page"], ids=relative)
def test_every_module_of_a_room_is_named_in_its_readme(room):
    told = (room / "README.md").read_text()
    for module in room.glob("*.py"):
        assert module.name == "__init__.py" or f"({module.name})" in told, module.name


def options():
    for program in (commands, cli):
        for command in typer.main.get_command(program.app).commands.values():
            for parameter in command.params:
                for name in parameter.opts:
                    if name.startswith("--") and name != "--output":  # which is -o in all documents
                        yield name


@pytest.mark.parametrize("name", sorted(set(options())))
def test_every_option_is_in_a_readme(name):
    told = "\n".join(path.read_text() for path in DOCUMENTS if path.name == "README.md")
    assert re.search(rf"{name}(?![\w-])", told), f"{name} is in no README"


def test_every_overlay_and_style_is_in_the_style_reference():
    styles = (ROOT / "dlrender" / "style" / "README.md").read_text()
    shared = {"panel", "color", "linewidth", "size", "alpha", "edge", "fontsize"}
    for name, overlay in OVERLAYS.items():
        assert f"`{name}`" in styles
        for field in fields(overlay):
            assert f"`{field.name}`" in styles, (name, field.name)
            row = next(line for line in styles.splitlines() if line.startswith("| `") and f"`{name}`" in line)
            assert field.name in shared or f"`{field.name}`" in row, (name, field.name)
    for name in bundled():
        assert f"| `{name}` |" in styles


def test_every_field_and_version_of_the_schema_is_in_its_readme():
    from dlscore.cache.schema import (
        CHECKS,
        DENOISED,
        DENSITY_ATTRS,
        FIELDS,
        MIXTURE,
        MORE_ATTRS,
        ROOT_ATTRS,
        SCORE_ATTRS,
        VERSION,
    )

    told = (ROOT / "dlscore" / "cache" / "README.md").read_text()
    for field in (*FIELDS, *CHECKS, *MIXTURE, DENOISED):
        assert f"`{field.name.replace('{method}', '<method>')}`" in told, field.name
    unfinished = {"extending"}  # which only an unfinished file has
    for name in {*SCORE_ATTRS, *DENSITY_ATTRS, *ROOT_ATTRS, *MORE_ATTRS} - unfinished:
        assert f"`{name}`" in told, name
    assert f"\n| {VERSION} |" in told


def test_every_target_that_a_document_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    for document in DOCUMENTS:
        shown = "\n".join(blocks(document, "sh"))
        named = re.findall(r"(?:^ {4}|^\$ |`)make (?:-[^\s`]+ )*([a-z][a-z-]*)", document.read_text(), re.MULTILINE)
        for target in [*named, *re.findall(r"^make (?:-[^\s`]+ )*([a-z][a-z-]*)", shown, re.MULTILINE)]:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{relative(document)}: make {target}"


def test_pictures_are_small():
    gallery = list((EXAMPLES / "gallery").glob("*"))
    shown = [
        (path.parent / name) for path in DOCUMENTS for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", path.read_text())
    ]
    for picture in (*gallery, *shown):
        assert picture.stat().st_size <= 500_000, picture
    assert sum(picture.stat().st_size for picture in gallery) <= 2_000_000


def test_words_are_spelled():
    pytest.importorskip("codespell_lib", reason="codespell is not installed; it is in the extra dev")
    files = [*DOCUMENTS, *ROOT.glob("dl*/**/*.py"), *EXAMPLES.glob("*")]
    texts = [relative(path) for path in files if path.is_file() and path.suffix != ".html"]  # whose data are base64
    found = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *texts], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
