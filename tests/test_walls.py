"""The two packages stay apart: nothing heavy above the command line's parsing, no torch below the cache."""

import pytest
from support import ROOT
from support.processes import HEAVY, run_without
from support.synthetic import write_cache


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
    argv = [
        "compute",
        "--policy-path",
        str(policy_folder),
        "--dataset-root",
        str(dataset_folder),
        "--output-dir",
        str(tmp_path),
    ]
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


def test_nothing_in_the_repository_names_a_place_of_its_makers():
    for file in [
        *ROOT.glob("*.toml"),
        ROOT / "Makefile",
        ROOT / "README.md",
        *ROOT.glob("dl*/**/*.py"),
        *ROOT.glob("d*/**/*.md"),
    ]:
        assert "/work/" not in file.read_text(), file
