"""The rooms and the walls between them: who may import whom, what must stay light, and how large a piece may be."""

import ast
import re
from pathlib import Path

import pytest
from support import ROOT
from support.processes import HEAVY, run_without
from support.synthetic import write_cache

# Room -> the rooms of dlscore that it may import, also inside functions and for type checkers. "" is the package itself,
# of which only __version__ is allowed.
ROOMS = {
    "common": set(),
    "grid": {"common"},
    "density": {"common", "grid"},
    "pusht": {"common"},
    "policy": {"common"},
    "cache": {"common", "grid", "density"},
    "episodes": {"common", "pusht"},
    "scores": {"common", "grid", "density", "policy"},
    "certify": {"common", "grid", "density", "policy", "scores"},
    "rollout": {"common", "pusht", "policy", "cache", "episodes", "compute"},
    "compute": {"common", "grid", "density", "pusht", "policy", "cache", "episodes", "scores"},
    "convert": {"common", "policy"},
    "cli": {"", "common", "density", "policy", "cache", "scores", "certify", "rollout", "compute", "convert"},
}
# dlrender's rooms, from the ground up: each may import those above it in this list, and of dlscore only OPEN.
RENDER_ROOMS = ("errors", "window", "colors", "shading", "overlays", "style", "frames", "output", "metadata", "existing",
                "scene", "drawing", "videos", "sheets", "figures", "jobs", "api", "complete", "options", "answers",
                "rerun_export", "page", "cli")  # fmt: skip
OPEN = ("dlscore.cache", "dlscore.grid", "dlscore.common", "dlscore")
OPEN_ROOMS = ("dlscore.common.", "dlscore.density.")
TYPER = (
    "dlscore/cli/",
    "dlscore/common/console.py",
    "dlrender/cli.py",
    "dlrender/options.py",
    "dlrender/answers/cli.py",
    "dlrender/answers/cli_charts.py",
    "dlrender/page/cli.py",
)
MODULE_LINES, FUNCTION_LINES = 250, 40


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[tuple[str, str]]:
    """(module, name) of every import in a file, wherever it stands; the name is "" for `import module`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(each.name, "") for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [(node.module or "", each.name) for each in node.names]
    return found


def target(module: str, name: str) -> str:
    """The module that an import reaches: `from dlscore.cache import seal` reaches dlscore.cache.seal."""
    whole = f"{module}.{name}"
    path = ROOT / Path(*whole.split("."))
    return whole if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file() else module


def room(module: str) -> str:
    return (module.split(".") + [""])[1]


def ours(path: Path) -> list[tuple[str, str]]:
    return [
        (target(module, name), name)
        for module, name in imports(path)
        if module.split(".")[0] in ("dlscore", "dlrender")
    ]


@pytest.mark.parametrize("path", modules("dlscore"), ids=name_of)
def test_a_room_of_dlscore_imports_only_the_rooms_below_it(path):
    here = room(name_of(path))
    for module, name in ours(path):
        assert module.split(".")[0] == "dlscore", f"{path} imports dlrender"
        there = room(module)
        if not here:  # the package offers names of all rooms, lazily
            continue
        assert there == here or there in ROOMS[here], f"{name_of(path)} imports {module}"
        assert there or name == "__version__", f"{name_of(path)} imports {name} from the package"


@pytest.mark.parametrize("path", modules("dlrender"), ids=name_of)
def test_dlrender_takes_the_face_of_the_cache_the_grid_the_density_and_the_common_room_alone(path):
    for module, name in ours(path):
        if module.split(".")[0] == "dlscore":
            assert module in OPEN or module.startswith(OPEN_ROOMS), f"{name_of(path)} imports {module}"
            assert module != "dlscore" or name == "__version__", f"{name_of(path)} imports {name} from dlscore"


@pytest.mark.parametrize("path", modules("dlrender"), ids=name_of)
def test_a_room_of_dlrender_imports_only_the_rooms_below_it(path):
    here = room(name_of(path))
    for module, _ in ours(path):
        if here and module.split(".")[0] == "dlrender" and room(module) not in ("", here):
            assert RENDER_ROOMS.index(room(module)) < RENDER_ROOMS.index(here), f"{name_of(path)} imports {module}"


def test_every_room_has_its_place_in_the_tables():
    assert {room(name_of(path)) for path in modules("dlscore")} - {""} == set(ROOMS)
    assert {room(name_of(path)) for path in modules("dlrender")} - {""} == set(RENDER_ROOMS)


def test_no_module_imports_itself_in_a_circle():
    graph = {
        name_of(path): {module for module, _ in ours(path)} for path in (*modules("dlscore"), *modules("dlrender"))
    }
    # The packages' own names are lazy: they import nothing until they are used.
    graph |= {"dlscore": set(), "dlrender": set()}
    state: dict[str, int] = {}

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert state.get(module) != 1, f"circle: {' -> '.join([*way, module])}"
        if state.setdefault(module, 0) == 0:
            state[module] = 1
            for each in graph.get(module, ()):
                if each != module and not module.startswith(each + "."):
                    visit(each, (*way, module))
            state[module] = 2

    for module in graph:
        visit(module, ())


def test_typer_is_in_the_command_rooms_only():
    for path in (*modules("dlscore"), *modules("dlrender")):
        if any(module.split(".")[0] == "typer" for module, _ in imports(path)):
            assert str(path.relative_to(ROOT)).startswith(TYPER), path


def test_no_test_imports_a_test():
    for path in (ROOT / "tests").rglob("*.py"):
        for module, name in imports(path):
            assert not any(part.startswith("test_") for part in (*module.split("."), name)), f"{path} imports {module}"


@pytest.mark.parametrize("path", [*modules("dlscore"), *modules("dlrender")], ids=name_of)
def test_modules_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MODULE_LINES, f"{path} has {len(source.splitlines())} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            is_command = any("command" in ast.unparse(decorator) for decorator in node.decorator_list)
            first = node.body[0].lineno if is_command else node.lineno
            assert node.end_lineno - first + 1 <= FUNCTION_LINES, f"{name_of(path)}.{node.name}"


@pytest.mark.parametrize("package", ["dlscore", "dlrender"])
def test_the_public_names_are_told_to_type_checkers_as_they_are_imported(package):
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    told = {
        each.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for line in node.body
        for each in line.names
    }
    module = __import__(package)
    assert told == set(module.__all__) - {"__version__"}
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense


# ---- what stays light ------------------------------------------------------------------------------------------------


def test_importing_the_packages_imports_nothing_heavy():
    code = "import sys, dlscore, dlrender; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = run_without(code, forbid=())
    assert not {*HEAVY, "typer", "rich", "matplotlib", "numpy", "h5py", "PIL", "av"} & set(done.stdout.split())


def test_a_cache_is_opened_and_drawn_without_what_scores(tmp_path):
    cache = write_cache(tmp_path / "episode_000.h5")
    code = (
        "import sys, dlscore, dlrender\n"
        "with dlscore.open_cache(sys.argv[1]) as cache:\n"
        "    dlrender.plot_step(cache, 2)\n"
        "    print(cache)\n"
    )
    done = run_without(code, str(cache))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<EpisodeCache: episode 0, 6 steps")


@pytest.mark.parametrize("argv", [["--help"], ["compute", "--help"], ["info", "--help"], ["--version"]])
def test_help_of_dlscore_imports_nothing_heavy(argv):
    done = run_without("from dlscore.cli.commands import main; main()", *argv, forbid=(*HEAVY, "matplotlib", "h5py"))
    assert done.returncode == 0, done.stderr


def test_argument_errors_of_dlscore_import_nothing_heavy(tmp_path):
    argv = ["compute", "--policy-path", "nowhere", "--dataset-root", str(tmp_path), "--action-resolution", "1"]
    done = run_without("from dlscore.cli.commands import main; main()", *argv)
    assert done.returncode == 1
    assert done.stderr.startswith("dlscore: error: --action-resolution 1 is not allowed")


def test_scoring_without_the_extra_says_what_to_install(policy_folder, dataset_folder, tmp_path):
    argv = ["compute", "--policy-path", str(policy_folder), "--dataset-root", str(dataset_folder), "--output-dir",
            str(tmp_path)]  # fmt: skip
    done = run_without("from dlscore.cli.commands import main; main()", *argv)
    assert done.returncode == 1
    assert done.stderr.startswith("dlscore: error: scoring needs ")
    assert done.stderr.endswith("which is not installed; pip install '.[score]' in the source\n")


def test_the_cache_needs_numpy_and_h5py_only(tmp_path):
    cache = write_cache(tmp_path / "episode_000.h5")
    code = "from dlscore.cli.commands import main; main()"
    done = run_without(code, "info", str(cache), forbid=(*HEAVY, "matplotlib", "PIL", "imageio"))
    assert done.returncode == 0, done.stderr
    assert "finished, 6/6 steps" in done.stdout


def test_what_tests_would_skip_without_is_set_up():
    # A test that is skipped where the tests of every change run is none.
    makefile = (ROOT / "Makefile").read_text()
    installed = ",".join(re.findall(r"-e '\.\[([\w,]+)\]'", makefile)).split(",")  # by setup, and under CI
    assert sorted(re.findall(r"--extra (\w+)", makefile)) == sorted(installed)
    locked = set(re.findall(r"(?m)^([\w-]+)==", (ROOT / "requirements.lock").read_text()))
    distributions = {"codespell_lib": "codespell", "rerun": "rerun-sdk", "huggingface_hub": "huggingface-hub"}
    for file in (ROOT / "tests").rglob("*.py"):
        for module in re.findall(r'importorskip\("(\w+)', file.read_text()):
            assert distributions.get(module, module) in locked, f"{file} skips without {module}"


def test_nothing_in_the_repository_names_a_place_of_its_makers():
    files = [*ROOT.glob("*.toml"), ROOT / "Makefile", *ROOT.glob("*.md")]
    for folder in ("dlscore", "dlrender", "data", "tests", ".github"):
        files += [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.md"), *(ROOT / folder).rglob("*.ipynb")]
    for file in files:
        assert not re.search(r"(?<!data)(?<![\w<{])/(?:work|root|home|tmp)/", file.read_text()), file
