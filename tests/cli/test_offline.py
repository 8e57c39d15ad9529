"""Hub ids with a simulated cache and no network: what is cached runs, what is not is answered at once, nothing is left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import stub

from dlscore.episodes.episode import ENVIRONMENT, IMAGE

pytestmark = pytest.mark.slow

# Any connection is an error that names itself, so that a run that would have asked the network fails; so does a pause,
# such as before another try.
NO_NETWORK = """
import socket, sys
def refuse(self, address):
    if isinstance(address, tuple):
        print(f"ASKED {address}", file=sys.stderr)
        raise ConnectionRefusedError("no network here")
socket.socket.connect = socket.socket.connect_ex = refuse
real = socket.getaddrinfo
def unknown(host, *args, **kwargs):
    print(f"ASKED {host}", file=sys.stderr)
    raise socket.gaierror("no network here")
socket.getaddrinfo = unknown
import time
sleep = time.sleep
def told(seconds):
    print(f"SLEPT {seconds}", file=sys.stderr)
    sleep(seconds)
time.sleep = told
from dlscore.cli.commands import main
"""
# Each command of a list of them, in one process, since importing torch takes longer than any answer.
EACH = """
import contextlib, io, json
answers = []
for argv in json.loads(sys.argv[1]):
    sys.argv = ["dlscore", *argv]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as told:
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    answers.append((code, out.getvalue(), told.getvalue()))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """HF_HOME with lerobot/diffusion_pusht (legacy, pictures) and lerobot/pusht (v3.0, video, no block pose).

    Also as LeRobot's loader caches them: lerobot/tagged, whole, and lerobot/bare, only its metadata, which are fetched first.
    Of someone/tdmpc the config alone is there.
    """
    home = tmp_path_factory.mktemp("hf")
    stub.save_legacy_policy(snapshot(home / "hub" / "models--lerobot--diffusion_pusht", "main"), **stub.image_config())
    folder = home / "lerobot" / "lerobot" / "pusht"
    stub.save_dataset(folder, episodes=2, steps=12, cameras=(IMAGE,), without=("full_state", ENVIRONMENT))
    for name in ("tagged", "bare"):
        copy = snapshot(home / "lerobot" / "hub" / f"datasets--lerobot--{name}", "v3.0")
        shutil.copytree(folder, copy)
    shutil.rmtree(copy / "data")
    other = snapshot(home / "hub" / "models--someone--tdmpc", "main")
    other.mkdir()
    (other / "config.json").write_text('{"type": "tdmpc"}')
    return home


def snapshot(cached: Path, reference: str) -> Path:
    """Where the hub's cache has the files of a repository at a branch or tag; it is not made."""
    (cached / "snapshots").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / reference).write_text("84a7c23")
    return cached / "snapshots" / "84a7c23"


def run(home: Path, *argv: object, offline: bool = True) -> subprocess.CompletedProcess:
    return process(home, NO_NETWORK + "main()", "compute", *argv, offline=offline)


def process(home: Path, code: str, *argv: object, offline: bool) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(home), "OMP_NUM_THREADS": "1"} | ({"HF_HUB_OFFLINE": "1"} if offline else {})
    return subprocess.run([sys.executable, "-c", code, *map(str, argv)], capture_output=True, text=True,
                          check=False, env=environment)  # fmt: skip


HEADLINE = ("--policy-path", "lerobot/diffusion_pusht", "--dataset-repo-id", "lerobot/pusht")
SMALL = ("--max-steps", 3, "--quality", "draft", "--action-resolution", 16, "--chunks", 1, "--device", "cpu")


@pytest.mark.parametrize("offline", [True, False], ids=["offline", "no network"])
def test_the_first_command_that_anyone_types_runs(home, tmp_path, offline):
    from dlscore.cache.reader import open_cache

    done = run(home, *HEADLINE, *SMALL, "--output-dir", tmp_path, offline=offline)
    assert done.returncode == 0, done.stderr
    assert "the block's pose from the first picture of observation.image, residual 0." in done.stdout
    with open_cache(tmp_path / "episode_000.h5") as cache:
        assert cache.attrs["policy_revision"] == "84a7c23"
        assert cache.attrs["pose_note"].startswith("companion: ")
        assert cache.drift_parts == ("agent_px", "picture")
    # Nothing but progress, and what random weights are worth: no word of torchcodec, of pkg_resources, of unexpected keys.
    expected = ("episode 0", "ASKED", "dlscore: warning: likelihood: the estimated error is above 0.1 ")
    lines = [line for line in done.stderr.splitlines() if not line.startswith(expected)]
    assert lines == []
    if offline:
        assert "ASKED" not in done.stderr


# Where an answer is, and what is in it.
ABSENT = {
    ("--policy-path", "nobody/nothing"): "model nobody/nothing is not a folder here, not cached, and the hub cannot be",
    ("--dataset-repo-id", "nobody/nothing"): "dataset nobody/nothing is not a folder here, not cached, and the hub",
    ("--policy-revision", "v9"): "model lerobot/diffusion_pusht is not a folder here, not cached",
    ("--dataset-revision", "v9"): "dataset lerobot/pusht is not a folder here, not cached",
    ("--dataset-root", "nowhere"): "--dataset-root nowhere does not exist",
    ("--dataset-repo-id", "lerobot/bare"): "dataset lerobot/bare is not a folder here, not cached, and the hub",
    ("--episodes", "7"): "episode 7 is not in lerobot/pusht; it has episodes 0 to 1",
}
THERE = ("--dataset-repo-id", "lerobot/tagged", "--dry-run")
OTHER_TYPE = ("--policy-path", "someone/tdmpc")


@pytest.fixture(scope="module")
def answers(home, tmp_path_factory):
    """Exit code, stdout and stderr of each change to the first command; nothing is left in the cache, or where output goes."""

    def tree(folder):
        return sorted(str(path) for path in folder.rglob("*") if "datasets/" not in str(path))

    before, out = tree(home), tmp_path_factory.mktemp("answers") / "out"
    changes = [*ABSENT, THERE, OTHER_TYPE]
    commands = [["compute", *map(str, (*HEADLINE, *SMALL, "--output-dir", out)), *change] for change in changes]
    done = process(home, NO_NETWORK + EACH, json.dumps(commands), offline=False)
    assert done.returncode == 0, done.stderr
    assert tree(home) == before
    assert not out.exists()
    assert not Path("nowhere").exists()
    return dict(zip(changes, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("change", ABSENT)
def test_what_is_not_there_is_answered_at_once_and_leaves_nothing(answers, change):
    code, _, err = answers[change]
    assert "SLEPT" not in err  # it asks once, and does not wait to ask again
    assert code == 1
    message = [line for line in err.splitlines() if not line.startswith("ASKED")]
    assert len(message) == 1
    assert ABSENT[change] in message[0]


def test_a_cached_snapshot_of_a_data_set_is_found_under_lerobots_tag(answers):
    code, out, err = answers[THERE]
    assert code == 0, err
    assert "missing, 3 steps" in out


def test_another_type_of_policy_is_refused_before_its_weights_are_fetched(answers):
    code, _, err = answers[OTHER_TYPE]
    assert code == 1
    assert "policy someone/tdmpc is of type 'tdmpc', which dlscore cannot score: it plans" in err
    assert "ASKED" not in err
