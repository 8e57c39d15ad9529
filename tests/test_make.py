"""The pipeline: only what a change touches is made again, make -n tells the truth, and policies have folders of their own.

The commands are stand-ins that note what they were called with and make their files.
"""

import os
import subprocess
import sys

import pytest
from support import ROOT

DLSCORE = """#!/bin/bash
if [ "$1" = inputs ]; then  # a digest of all files of the data set and the policy, for each episode of five
    shift
    while [ $# -gt 0 ]; do case $1 in --policy-path) p=$2;; --dataset-root) d=$2;; --episodes) e=$2;; esac; shift; done
    digest=$(find -L "$(realpath "$p")" "$d/data" -type f -printf '%p %s %T@\n' 2>/dev/null | sort | cksum | cut -d' ' -f1)
    [ "$e" = all ] && e=0,1,2,3,4
    [[ $e =~ ^[0-9,]+$ ]] || exit 1
    for k in ${e//,/ }; do echo "$((10#$k)):$digest"; done
    exit
fi
echo "dlscore $@" >> "$LOG"
while [ $# -gt 0 ]; do case $1 in --episodes) e=$2;; --output-dir) d=$2;; esac; shift; done
mkdir -p "$d"; touch "$d/episode_$(printf %03d "$((10#$e))").h5"
"""
DLRENDER = """#!/bin/bash
echo "dlrender $@" >> "$LOG"
if [ "$1" = page ]; then mkdir -p "$(dirname "$4")"; touch "$4"; exit; fi
e=$(basename "$2" .h5); e=$((10#${e#episode_}))
while [ $# -gt 0 ]; do case $1 in --scoring-method) m=$2;; --output-dir) d=$2;; esac; shift; done
mkdir -p "$d"; touch "$d/episode_${e}_combined_${m}.mp4"
"""


@pytest.fixture
def make(tmp_path):
    bin = tmp_path / "venv" / "bin"
    bin.mkdir(parents=True)
    for name, text in (("dlscore", DLSCORE), ("dlrender", DLRENDER), ("python", "#!/bin/bash\necho 1\n")):
        (bin / name).write_text(text)
        (bin / name).chmod(0o755)
    (tmp_path / "venv" / ".ready").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    log = tmp_path / "log"

    def call(*argv: str, code: int = 0) -> list[str]:
        """The commands that `make argv` ran (or, with -n, printed)."""
        log.write_text("")
        fixed = [f"VENV={tmp_path / 'venv'}", f"CACHE={tmp_path / 'cache'}", f"OUTPUTS={tmp_path / 'out'}",
                 f"DATASET={tmp_path}", f"PIPELINE={tmp_path / 'pipeline.mk'}"]  # fmt: skip
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")} | {
            "LOG": str(log)
        }
        given = [each for each in argv if each.startswith("POLICY=")] or [f"POLICY={tmp_path / 'a'}"]
        rest = [each for each in argv if not each.startswith("POLICY=")]
        if (tmp_path / "pipeline.mk").exists():
            given = []
        done = subprocess.run(["make", *rest, *given, *fixed], cwd=ROOT, capture_output=True, text=True, env=environment,
                              check=False)  # fmt: skip
        assert done.returncode == code, done.stderr
        call.stderr = done.stderr
        if "-n" in argv:
            printed = done.stdout.replace("\\\n", " ").splitlines()
            return [line.split("/bin/")[1] for line in printed if "/bin/dl" in line and "dlscore inputs" not in line]
        return log.read_text().splitlines()

    return call


def what(lines: list[str]) -> list[str]:
    return [" ".join(line.split()[:2]) for line in lines]


def test_a_dry_make_tells_what_a_make_does(make, tmp_path):
    argv = ("render", "EPISODE=0 1", "METHOD=likelihood distance")
    told = make(*argv, "-n")
    assert not (tmp_path / "cache").exists()
    done = make(*argv)
    assert [line.split() for line in done] == [line.split() for line in told]
    assert sorted(what(done)) == ["dlrender render"] * 4 + ["dlscore compute"] * 2
    assert make(*argv, "-n") == make(*argv) == []


def test_a_style_draws_again_and_scores_nothing(make):
    make("render")
    for argv in (("render", "COLORMAP=magma", "-n"), ("render", "COLORMAP=magma")):
        assert what(make(*argv)) == ["dlrender render"]


def test_a_finished_cache_stays_whatever_ends_the_command(make, tmp_path):
    program = tmp_path / "venv" / "bin" / "dlscore"
    program.write_text(DLSCORE + "exit 1\n")  # as where its last words cannot be written
    make("cache", code=2)
    assert (tmp_path / "cache" / "episode_000.h5").exists()


def test_other_data_of_the_same_name_are_scored_anew(make, tmp_path):
    data = tmp_path / "data" / "chunk-000" / "file-000.parquet"
    data.parent.mkdir(parents=True)
    data.touch()
    make("cache")
    assert make("cache", "-n") == []
    os.utime(data)
    assert what(make("cache")) == ["dlscore compute"]


def test_a_training_run_that_moves_on_is_scored_anew(make, tmp_path):
    run = tmp_path / "run"
    for step in ("1", "2"):
        (run / "checkpoints" / step).mkdir(parents=True)
        (run / "checkpoints" / step / "model.safetensors").touch()
    last = run / "checkpoints" / "last"
    last.symlink_to("1")
    policy = f"POLICY={last}"
    make("cache", policy)
    assert make("cache", policy) == []
    last.unlink()
    last.symlink_to("2")
    assert what(make("cache", policy)) == ["dlscore compute"]


def test_a_file_that_is_replaced_by_an_older_one_is_scored_anew(make, tmp_path):
    data = tmp_path / "data" / "videos" / "file-000.mp4"
    data.parent.mkdir(parents=True)
    data.touch()
    make("cache")
    os.utime(data, (1e9, 1e9))
    assert what(make("cache")) == ["dlscore compute"]
    assert make("cache") == []


EXPANSIONS = {"0": [0], "010": [10], "08": [8], "0-1": [0, 1], "0,1": [0, 1], "0 1": [0, 1], "1, 0": [0, 1], 
              "all": [0, 1, 2, 3, 4], "0-2,4": [0, 1, 2, 4], "3 3": [3]}  # fmt: skip


@pytest.mark.parametrize("written", EXPANSIONS)
def test_episodes_are_written_as_for_dlscore(make, tmp_path, written):
    for _ in range(2):  # the second time dlscore is there to be asked from the start
        make("cache", f"EPISODE={written}")
        made = sorted(int(path.stem.split("_")[1]) for path in (tmp_path / "cache").glob("*.h5"))
        assert made == EXPANSIONS[written]


@pytest.mark.parametrize("written", ["1-0", "x", "0-x", "-1", "0..3", "1e3", "0x1", "½"])
def test_episodes_that_mean_nothing_are_an_error(make, tmp_path, written):
    assert make("cache", f"EPISODE={written}", code=2) == []
    assert f"EPISODE '{written}' is not understood" in make.stderr


def test_a_page_is_made_anew_when_its_cache_is_and_only_then(make, tmp_path):
    assert what(make("page")) == ["dlscore compute", "dlrender page"]
    assert (tmp_path / "out" / "episode_0.html").exists()
    assert make("page", "-n") == make("page", "COLORMAP=magma", "-n") == []
    assert what(make("page", "RESOLUTION=60", "-n")) == ["dlscore compute", "dlrender page"]


def test_the_demo_ends_with_its_page(make):
    assert what(make("demo")) == ["dlscore compute", "dlrender render", "dlrender page"]
    assert make("demo") == []


def test_one_more_episode_is_all_that_is_made(make):
    make("render", "EPISODE=0")
    assert what(make("render", "EPISODE=0 1")) == ["dlscore compute", "dlrender render"]


def test_policies_have_folders_of_their_own_also_in_parallel(make, tmp_path):
    policies = f"POLICY={tmp_path / 'a'} {tmp_path / 'b'}"
    argv = ("-j2", "render", policies, "EPISODE=0 1", "METHOD=likelihood distance")
    assert len(make(*argv, "-n")) == 2 * (2 + 4)
    assert len(make(*argv)) == 2 * (2 + 4)
    assert (tmp_path / "cache" / "b" / "episode_001.h5").exists()
    assert (tmp_path / "out" / "a" / "episode_1_combined_distance.mp4").exists()
    assert make(*argv) == []
    (tmp_path / "c" / "a").mkdir(parents=True)
    make("cache", f"POLICY={tmp_path / 'a'} {tmp_path / 'c' / 'a'}", code=2)
    assert "POLICY has two folders of one name" in make.stderr


def test_what_make_draws_in_parallel_is_drawn_by_one_process_each(make):
    drawn = {
        flags: [line for line in make(*flags.split(), "render", "EPISODE=0 1") if line.startswith("dlrender")]
        for flags in ("", "-B -j2", "-B -j")
    }
    for flags, lines in drawn.items():
        assert ["--jobs 1" in line for line in lines] == ["-j" in flags] * 2


def test_settings_come_from_a_file(make, tmp_path):
    (tmp_path / "pipeline.mk").write_text(f"EPISODE = 3 4\nPOLICY = {tmp_path / 'b'}\nRESOLUTION = 60\n")
    done = make("cache")
    assert len(done) == 2
    assert all(f"--policy-path {tmp_path / 'b'}" in line and "--action-resolution 60" in line for line in done)
    assert "--action-resolution 40" in make("cache", "RESOLUTION=40", "EPISODE=3")[0]


def test_the_caches_are_not_removed_without_a_word(make, tmp_path):
    make("cache", "EPISODE=0 1")
    make("clean-cache", code=2)
    assert "holds 2 finished caches; make clean-cache CONFIRM=yes removes them" in make.stderr
    assert (tmp_path / "cache" / "episode_001.h5").exists()
    make("clean-cache", "CONFIRM=yes")
    assert os.listdir(tmp_path / "cache") == []


@pytest.mark.parametrize("name", ["answers", "damage", "render"])
def test_a_benchmark_finds_the_packages_and_not_the_folders_of_their_tests(name, tmp_path):
    # As make runs it: as a script, without the search path of pytest.
    script = f"import runpy; runpy.run_path({str(ROOT / f'tests/bench/{name}.py')!r}); import dlrender.cli"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([sys.executable, "-P", "-c", script], cwd=tmp_path, env=environment, check=True)


def test_damaged_caches_are_answered_as_the_benchmark_counts_them():
    command = [sys.executable, ROOT / "tests/bench/damage.py", "--count", "3"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "3 damaged caches" in told
    assert "worker died" not in told
