"""The two packages stay apart: nothing heavy above the command line's parsing, no torch below the cache."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "lerobot", "gym_pusht", "diffusers", "cv2", "pygame", "scipy", "datasets", "zarr")

FORBID = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {names!r}:
            raise ModuleNotFoundError(f'{{name}} is not installed here', name=name)
sys.meta_path.insert(0, Refuse())
"""


def run(code: str, *argv: str, forbid: tuple[str, ...] = HEAVY) -> subprocess.CompletedProcess:
    code = FORBID.format(names=set(forbid)) + code
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("argv", [["--help"], ["compute", "--help"], ["info", "--help"], ["--version"]])
def test_help_of_dlscore_imports_nothing_heavy(argv):
    done = run("from dlscore.cli import main; main()", *argv, forbid=(*HEAVY, "matplotlib", "h5py"))
    assert done.returncode == 0, done.stderr


def test_argument_errors_of_dlscore_import_nothing_heavy(tmp_path):
    argv = ["compute", "--policy-path", "nowhere", "--dataset-root", str(tmp_path), "--action-resolution", "1"]
    done = run("from dlscore.cli import main; main()", *argv)
    assert done.returncode == 1
    assert done.stderr.startswith("dlscore: error: --action-resolution 1 is not allowed")


def test_scoring_without_the_extra_says_what_to_install(policy_folder, dataset_folder, tmp_path):
    argv = [
        "compute",
        "--policy-path",
        str(policy_folder),
        "--dataset-root",
        str(dataset_folder),
        "--output-dir",
        str(tmp_path),
    ]
    done = run("from dlscore.cli import main; main()", *argv)
    assert done.returncode == 1
    assert done.stderr.startswith("dlscore: error: scoring needs ")
    assert done.stderr.endswith("which is not installed; pip install '.[score]' in the source\n")


def test_the_cache_needs_numpy_and_h5py_only(tmp_path):
    from synthetic import write_cache

    cache = write_cache(tmp_path / "episode_000.h5")
    code = "from dlscore.cli import main; main()"
    done = run(code, "info", str(cache), forbid=(*HEAVY, "matplotlib", "PIL", "imageio"))
    assert done.returncode == 0, done.stderr
    assert "finished, 6/6 steps" in done.stdout


def test_nothing_in_the_repository_names_a_place_of_its_makers():
    root = Path(__file__).parents[1]
    for file in [
        *root.glob("*.toml"),
        root / "Makefile",
        root / "README.md",
        *root.glob("dl*/*.py"),
        *root.glob("data/*.md"),
    ]:
        assert "/work/" not in file.read_text(), file
