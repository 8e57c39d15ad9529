"""The command line of dlrender: options as users write them, errors in one line, and a stop that leaves nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
import typer
from support.processes import HEAVY, HEED_INTERRUPTS, PATIENCE, run_without
from support.synthetic import rewrite, write_cache

from dlrender import cli
from dlrender.overlays import OVERLAYS
from dlrender.style.style import Style
from dlrender.style.toml import load_style


def test_options_with_underscores(dlrender, drawn_cache, tmp_path):
    code, out, err = dlrender("render", drawn_cache, "--scoring_method", "noise_pred", "--target_height", 240,
                              "--output_dir", tmp_path / "out", "--show_confidence_intervals", "--json")  # fmt: skip
    assert code == 0, err
    assert [Path(name).name for name in json.loads(out)["files"]][2] == "episode_0_combined_noise_pred.mp4"


def test_every_look_reaches_the_picture(dlrender, drawn_cache, tmp_path):
    argv = ["--style", "paper", "--colormap", "magma", "--norm", "frame", "--gamma", 0.5, "--no-show-arrow",
            "--overlay", "worms:alpha=0.3", "--overlay", "landscape", "--no-overlay", "expert", "--target-height", 120,
            "--range-nats", 6, "--videos", "combined", "-m", "likelihood,distance"]  # fmt: skip
    code, _, err = dlrender("render", drawn_cache, "--output-dir", tmp_path, *argv)
    assert code == 0, err
    assert sorted(os.listdir(tmp_path)) == [
        "episode_000.h5", "episode_0_combined_likelihood+distance.mp4", "episode_0_config.json",
    ]  # fmt: skip
    style = json.loads((tmp_path / "episode_0_config.json").read_text())["renders"]["likelihood+distance"]["style"]
    assert style["overlays"] == ["world", "landscape", "worms", "contours", "prediction", "scale"]
    assert (style["colormap"], style["norm"], style["gamma"], style["range_nats"]) == ("magma", "frame", 0.5, 6.0)
    assert style["overlay"]["worms"]["alpha"] == 0.3
    assert style["rc"]["font.family"] == "serif"  # paper's


def test_the_global_norm_spans_the_files(dlrender, drawn_cache, tmp_path):
    other = write_cache(tmp_path / "other" / "episode_001.h5", episode=1, sigma=10.0)
    code, _, err = dlrender("render", drawn_cache, other, "--norm", "global", "--output-dir", tmp_path / "out")
    assert code == 0, err


def test_several_at_a_time_are_the_same_as_one_after_the_other(dlrender, tmp_path):
    files = [write_cache(tmp_path / f"episode_00{k}.h5", episode=k, steps=4 + k) for k in range(3)]
    outs = {}
    for jobs in (1, 2):
        code, out, err = dlrender(
            "render", *files, "--output-dir", tmp_path / str(jobs), "--jobs", jobs, "--videos", "combined"
        )
        assert code == 0, err
        outs[jobs] = [Path(line).name for line in out.splitlines()]
    assert outs[1] == outs[2]
    for name in outs[1]:
        if name.endswith(".mp4"):
            assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    code, out, err = dlrender("render", *files, "--output-dir", tmp_path / "2", "-j", 2, "--videos", "combined")
    assert (code, out) == (0, "all videos are up to date; --force draws them again\n"), err
    (tmp_path / "2" / "episode_1_combined_likelihood.mp4").write_bytes(b"mine")
    code, _, err = dlrender("render", *files, "--output-dir", tmp_path / "2", "-j", 2, "--videos", "combined")
    assert code == 1
    assert "exists and was not made by dlrender" in err
    assert err.count("error") == 1


def test_a_dry_run_draws_nothing(dlrender, drawn_cache, tmp_path):
    code, out, err = dlrender("render", drawn_cache, "--output-dir", tmp_path / "out", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{tmp_path}/out/episode_0_environment.mp4: would be made"
    assert not (tmp_path / "out").exists()
    code, out, _ = dlrender("render", drawn_cache, "--output-dir", tmp_path / "out", "--dry-run", "--json")
    assert [row["cache"] for row in json.loads(out)["files"]] == [str(drawn_cache)] * 3
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "episode_0_combined_likelihood.mp4").write_bytes(b"there")
    code, out, _ = dlrender("render", drawn_cache, "--output-dir", tmp_path / "out", "--dry-run")
    assert (code, [line.endswith("needs --force") for line in out.splitlines()]) == (0, [False, False, True])


def test_styles_are_listed_and_printed_to_start_from(dlrender, tmp_path):
    code, out, _ = dlrender("styles")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["dark", "default", "paper", "talk"]
    (tmp_path / "mine.toml").write_text(dlrender("styles", "--print-style", "talk")[1])
    assert load_style(str(tmp_path / "mine.toml")) == load_style("talk")
    code, out, _ = dlrender("render", "--print-style", "--colormap", "magma", "--overlay", "cloud:size=9")
    (tmp_path / "mine.toml").write_text(out)
    style = load_style(str(tmp_path / "mine.toml"))
    assert (code, style.colormap, style.overlay["cloud"].size) == (0, "magma", 9.0)
    assert style.overlays == tuple(sorted(Style().overlays + ("cloud",), key=list(style.overlay).index))


def test_no_file_is_a_matter_of_usage(dlrender):
    code, _, err = dlrender("render")
    assert code == 2
    assert "name the caches to draw" in err


def test_two_files_of_one_episode_are_refused(dlrender, drawn_cache, tmp_path):
    other = write_cache(tmp_path / "other" / "episode_000.h5")
    code, _, err = dlrender("render", drawn_cache, other, "--output-dir", tmp_path / "out")
    assert code == 1
    assert "are both of episode 0" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "words", "code"),
    [
        (["--colormap", "virids"], "invalid value 'virids' for --colormap", 1),
        (
            ["--scoring-method", "vibes"],
            "has no scores of method 'vibes'; choose from distance, likelihood, noise_pred",
            1,
        ),
        (["--norm", "vibes"], "invalid value 'vibes' for --norm", 1),
        (["--target-height", "481"], "--target-height 481 is not allowed; choose an even number", 1),
        (["--target-height", "tall"], "target-height", 2),
        (["--fps", "0"], "--fps 0 is not allowed", 1),
        (["--fps", "0.0001"], "--fps 0.0001 is not allowed; choose --fps from 0.1 to 240", 1),
        (["--range-nats", "-1"], "--range-nats -1 is not allowed", 1),
        (["--range-nats", "nan"], "--range-nats nan is not allowed", 1),
        (["--format", "avi"], "invalid value 'avi' for --format; choose from mp4, webp, gif, png", 1),
        (["--pix-fmt", "rgb24"], "--pix-fmt rgb24 is not allowed with --format mp4", 1),
        (["--style", "papr"], "invalid value 'papr' for --style; did you mean paper", 1),
        (["--overlay", "star"], "invalid value 'star' for --overlay", 1),
        (["--no-overlay", "star"], "invalid value 'star' for --no-overlay", 1),
        (["--videos", "all"], "invalid value 'all' for --videos; choose from environment, heatmaps, combined", 1),
        (["--videos", ","], "invalid value '' for --videos", 1),
        (["--scoring-method", ""], "has no scores of method ''", 1),
        (["--scoring-method", "distance,distance"], "names one twice", 1),
        (["--jobs", "0"], "--jobs 0 is not allowed; choose 1 or more", 1),
        (["--no-such-option"], "No such option", 2),
    ],
)
def test_bad_options_are_one_line(dlrender, drawn_cache, tmp_path, argv, words, code):
    exit_code, out, err = dlrender("render", drawn_cache, "--output-dir", tmp_path / "out", *argv)
    assert exit_code == code
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("where", "name", "value", "words"),
    [
        ("/", "fps", None, "lacks the attribute fps; compute it again"),
        ("/", "fps", 0.0, "has fps 0, which is not allowed; choose --fps"),
        ("/", "episode", None, "lacks the attribute episode; compute it again"),
        ("scores/likelihood", "kind", None, "lacks the attribute kind of scores/likelihood; compute it again"),
        ("scores/likelihood", "units", None, "lacks the attribute units of scores/likelihood; compute it again"),
    ],
)
def test_bad_attributes_are_one_line(dlrender, drawn_cache, tmp_path, where, name, value, words):
    def change(file):
        del file[where].attrs[name]
        if value is not None:
            file[where].attrs[name] = value

    rewrite(drawn_cache, change)
    code, _, err = dlrender("render", drawn_cache, "--output-dir", tmp_path / "out")
    assert code == 1
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_bad_files_are_one_line(dlrender, drawn_cache, tmp_path):
    (tmp_path / "foreign.h5").write_bytes(b"not HDF5")
    (tmp_path / "cut.h5").write_bytes(drawn_cache.read_bytes()[:20000])
    for name, words in (("foreign.h5", "not a readable HDF5"), ("cut.h5", "truncated"), ("gone.h5", "is not a file")):
        code, _, err = dlrender("render", drawn_cache, tmp_path / name, "--output-dir", tmp_path / "out")
        assert code == 1
        assert words in err
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()  # not even for the file that is whole


def test_an_output_folder_that_cannot_be(dlrender, drawn_cache):
    for folder in ("README.md", "/proc/nowhere"):
        code, _, err = dlrender("render", drawn_cache, "--output-dir", folder)
        assert code == 1
        assert err.count("\n") == 1
        assert folder in err


SLOW = ["--target-height", "960"]


@pytest.fixture(scope="module")
def long_caches(tmp_path_factory):
    """Three episodes, which take a minute to draw at SLOW: whatever the load, both workers are at it before one is done."""
    folder = tmp_path_factory.mktemp("long")
    return [write_cache(folder / f"{k}.h5", episode=k, steps=200, resolution=8) for k in range(3)]


def workers_of(process):
    """The processes that draw for it, forked or spawned."""
    found = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "spawn_main|dlrender"], capture_output=True, text=True
    )
    return [int(number) for number in found.stdout.split()]


def is_there(number):
    """Whether a process runs; one that has ended may wait for whom it was given to."""
    state = Path(f"/proc/{number}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "files", "jobs"), [(signal.SIGTERM, 2, 1), (signal.SIGINT, 2, 2),
                                                       (signal.SIGTERM, 1, 2), (signal.SIGINT, 1, 2)])  # fmt: skip
def test_a_stop_leaves_no_unfinished_file_and_no_process(long_caches, tmp_path, number, files, jobs):
    out = tmp_path / "out"
    argv = ["render", *map(str, long_caches[:files]), "--output-dir", str(out), "--jobs", str(jobs), *SLOW]
    code = f"{HEED_INTERRUPTS}from dlrender.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *argv], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until = time.monotonic() + PATIENCE
    at_work = 3 * min(files, jobs)
    while not (out.is_dir() and len(list(out.glob(".*.part"))) >= at_work and len(workers_of(process)) >= jobs - 1):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.02)
    workers = workers_of(process)
    if number == signal.SIGINT:  # a terminal sends it to all of a command's processes
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    err = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("dlrender: error: interrupted")
    assert list(out.iterdir()) == []
    assert [worker for worker in workers if is_there(worker)] == []


@pytest.mark.slow
@pytest.mark.parametrize("files", [1, 2])
def test_no_process_outlives_one_that_is_killed(long_caches, tmp_path, files):
    argv = ["render", *map(str, long_caches[:files]), "--output-dir", str(tmp_path), "--jobs", "2", *SLOW]
    process = subprocess.Popen([sys.executable, "-c", "from dlrender.cli import main; main()", *argv])
    until = time.monotonic() + PATIENCE
    while len(workers_of(process)) < 2 or len(list(tmp_path.glob(".*.part"))) < 3 * files:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    workers = workers_of(process)
    process.kill()
    process.wait()
    while any(map(is_there, workers)):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_process_that_draws_is_an_error_and_leaves_no_unfinished_file(long_caches, tmp_path):
    argv = ["render", str(long_caches[0]), "--output-dir", str(tmp_path), "--jobs", "2", *SLOW]
    code = "from dlrender.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *argv], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while len(workers_of(process)) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    err = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1, err
    assert err.splitlines()[-1] == (
        "dlrender: error: one of the processes that draw was killed, perhaps because memory ran out; choose --jobs 1"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_worker_is_an_error_and_leaves_no_unfinished_file(long_caches, tmp_path):
    out = tmp_path / "out"
    argv = ["render", *map(str, long_caches), "--output-dir", str(out), "--jobs", "2", *SLOW]
    code = "from dlrender.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *argv], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while not (out.is_dir() and len(list(out.glob(".*.part"))) >= 6):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    err = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1, err
    assert err.splitlines()[-1].startswith("dlrender: error: a process of --jobs 2 was killed")
    assert [path for path in out.iterdir() if path.name.startswith(".")] == []


def test_it_renders_where_scoring_is_not_installed(drawn_cache, tmp_path):
    argv = ["--output-dir", str(tmp_path / "out"), "--overlay", "block", "--overlay", "worms", "--style", "talk"]
    done = run_without("from dlrender.cli import main; main()", "render", str(drawn_cache), *argv)
    assert done.returncode == 0, done.stderr
    assert len(os.listdir(tmp_path / "out")) == 4


def test_help_imports_nothing_heavy():
    for argv in (["--help"], ["render", "--help"], ["--version"]):
        done = run_without(
            "from dlrender.cli import main; main()", *argv, forbid=(*HEAVY, "matplotlib", "h5py", "av", "PIL")
        )
        assert done.returncode == 0, done.stderr
    shown = run_without("from dlrender.cli import main; main()", "render", "--help").stdout
    assert "[px]" in shown  # brackets are no markup
    assert "[default: the" in shown


@pytest.mark.parametrize("name", ["render", "still", "sheet"])
def test_help_is_readable_at_80_columns_and_names_everything(dlrender, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = dlrender(name, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    for parameter in typer.main.get_command(cli.app).commands[name].params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            assert re.search(rf"{option}(?![\w-])", out), option
    for overlay, kind in OVERLAYS.items():
        described = out.partition(f"    {overlay}: ")[2]
        assert described, overlay
        for field in fields(kind):
            assert field.name == "panel" or f"{field.name}=" in described, (overlay, field.name)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("dlrender st", ["still", "styles", "stats"]),
        ("dlrender render --style pa", ["paper"]),
        ("dlrender render --overlay ch", ["chunk"]),
        ("dlrender render --colormap cividis", ["cividis", "cividis_r"]),
        ("dlrender render --norm gl", ["global"]),
        ("dlrender render --videos environment,co", ["environment,combined"]),
        ("dlrender render --format g", ["gif"]),
        ("dlrender render -m l", ["likelihood"]),
        ("dlrender still {cache} -m ", ["distance", "likelihood", "noise_pred"]),
        ("dlscore compute --scoring-method distance,l", ["distance,likelihood"]),
        ("dlscore compute --quality d", ["draft"]),
    ],
)
def test_a_shell_completes_names(dlrender, dlscore, drawn_cache, monkeypatch, words, offered):
    words = words.format(cache=drawn_cache)
    program = words.partition(" ")[0]
    monkeypatch.setenv(f"_{program.upper()}_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    code, out, err = {"dlrender": dlrender, "dlscore": dlscore}[program]()
    assert (code, out.split()) == (0, offered), err


@pytest.mark.parametrize("program", ["dlrender.cli", "dlscore.cli.commands"])
def test_completion_can_be_installed(tmp_path, program):
    code = f"from {program} import main; main()"
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    argv = [sys.executable, "-c", code, "--install-completion", "bash"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name = program.partition(".")[0]
    assert f"_{name.upper()}_COMPLETE=complete_bash" in (tmp_path / ".bash_completions" / f"{name}.sh").read_text()


def test_numpy_has_one_thread_unless_the_user_says_otherwise(dlrender, monkeypatch):
    for said, thread in (("4", None), (None, "1")):
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        monkeypatch.delenv("OMP_NUM_THREADS") if said is None else monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert dlrender("--version")[0] == 0
        assert os.environ.get("OPENBLAS_NUM_THREADS") == thread
