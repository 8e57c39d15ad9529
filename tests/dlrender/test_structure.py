"""The floors of dlrender: what imports what, and how long modules and functions are."""

import ast

import pytest
from support import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "dlrender").rglob("*.py"))
}
# From the ground up: a module imports from its own floor, which has no circle, and from those below.
FLOORS = (
    ("errors", "window", "colors", "shading"),
    ("overlays",),
    ("style",),
    ("frames",),
    ("output", "metadata", "existing"),
    ("scene", "drawing", "videos", "sheets", "figures", "jobs"),
    ("api",),
    ("complete", "options"),
    ("answers",),
    ("page", "rerun_export"),
    ("cli",),
)
COMMANDS = ("dlrender.cli", "dlrender.answers.cli", "dlrender.answers.cli_charts", "dlrender.page.cli")
FROM_DLSCORE = ("dlscore.cache", "dlscore.grid")  # and anything in dlscore.common


def imports(name):
    """The modules that a module imports, anywhere in it; `from package import module` names the module."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (each if each in MODULES else node.module for each in below)


def floor_of(name):
    return next(n for n, rooms in enumerate(FLOORS) if name.split(".")[1] in rooms)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "dlrender"])
def test_a_module_imports_what_is_below_it(name):
    for other in imports(name):
        if other.startswith("dlrender."):
            assert floor_of(other) <= floor_of(name), other
        elif other.startswith("dlscore."):
            assert other.removeprefix("dlscore.").split(".")[0] in ("common", "density") or other in FROM_DLSCORE, other
        elif other == "typer":
            assert name in COMMANDS or name == "dlrender.options"


def test_only_the_version_comes_from_the_front_of_dlscore():
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "dlscore":
                assert [alias.name for alias in node.names] == ["__version__"]


def test_no_circle():
    order, open_now = [], []

    def visit(name):
        assert name not in open_now, [*open_now, name]
        if name in order:
            return
        open_now.append(name)
        for other in set(imports(name)):
            if other in MODULES and other != "dlrender":
                visit(other)
        open_now.remove(name)
        order.append(name)

    for name in MODULES:
        if name != "dlrender":  # which imports on first use
            visit(name)


def test_modules_and_functions_are_short():
    for name, path in MODULES.items():
        text = path.read_text()
        assert len(text.splitlines()) <= 250, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0].lineno if name in COMMANDS else node.lineno  # options make a signature long
                assert node.end_lineno - first < 40, (name, node.name)
