"""Ray's workers: one is killed in the middle of an episode, and the scores are the local engine's to the last bit."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.runs import assert_same, flat

from dlscore.cache.schema import part_path
from dlscore.compute import ray_engine
from dlscore.compute.batch import EpisodeResult
from dlscore.compute.ray_engine import EngineError, Workers
from dlscore.compute.settings import Options, Request, episode_path

LIKELIHOOD = {"samples": 64, "finest": 0, "density": "model"}


def kill_one(folder: Path, killed: list[int], ended: threading.Event) -> None:
    """SIGKILL the process that holds the lock of an episode whose part is there, when one is, until the run has ended."""
    while not killed and not ended.wait(0.01):
        for lock in folder.glob("*.lock"):
            if part_path(lock.with_suffix("")).exists():
                try:
                    killed.append(json.loads(lock.read_text())["pid"])
                    os.kill(killed[0], signal.SIGKILL)
                except (OSError, ValueError):
                    continue
                return


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_scores_are_the_local_engines(
    policy_folder,
    dataset_folder,
    tmp_path,
    dlscore,
):
    pytest.importorskip("ray")
    request = Request(
        policy_path=str(policy_folder), dataset_root=str(dataset_folder), episodes="0-1", likelihood=LIKELIHOOD,
        resolution=16, device="cpu", output_dir=tmp_path / "ray",
    )  # fmt: skip
    killed, notes, ended = [], [], threading.Event()
    killer = threading.Thread(target=kill_one, args=(request.output_dir, killed, ended), daemon=True)
    killer.start()
    before = signal.getsignal(signal.SIGTERM)
    results = []
    for result in ray_engine.run_ray(request, dict.fromkeys(range(2), 14), Options(), Workers(1), notice=notes.append):
        results.append(result)
        assert signal.getsignal(signal.SIGTERM) == before  # Ray's own would end without a word
    ended.set()
    killer.join()
    assert sorted(result.episode for result in results) == [0, 1]
    assert [result.reason for result in results] == [""] * 2
    assert len(killed) == 1
    assert len(notes) == 1
    assert "died; another one continues it" in notes[0]
    argv = ["--policy-path", policy_folder, "--dataset-root", dataset_folder, "--episodes", "0-1", "--quality", "draft",
            "--density", "model", "--action-resolution", 16, "--device", "cpu", "--output-dir", tmp_path / "local"]  # fmt: skip
    assert dlscore("compute", *argv)[0] == 0
    for index in range(2):
        assert_same(episode_path(tmp_path / "local", index), episode_path(request.output_dir, index))
    assert sorted(os.listdir(request.output_dir)) == sorted(os.listdir(tmp_path / "local"))


def test_a_worker_that_memory_ran_out_for_is_replaced(tmp_path):
    # Ray's monitor kills it then; a stand-in for Ray, whose first worker dies so.
    outcomes = iter([MemoryError(), EpisodeResult(0, tmp_path), EpisodeResult(1, tmp_path)])

    class Actor:
        compute = SimpleNamespace(remote=lambda index: object())

        @classmethod
        def remote(cls, *_):
            return cls

    def get(_):
        found = next(outcomes)
        if isinstance(found, Exception):
            raise found
        return found

    class Other(Exception):
        pass

    ray = SimpleNamespace(
        remote=lambda **_: lambda _: Actor, wait=lambda at_work, num_returns, timeout: (at_work[:1], at_work[1:]), get=get,
        exceptions=SimpleNamespace(RayTaskError=Other, RayActorError=Other, OutOfMemoryError=MemoryError),
    )  # fmt: skip
    notes = []
    reports = []
    progress = ray_engine._Progress(tmp_path, {0: 3, 1: 4}, lambda *report: reports.append(report))
    request = Request("p", output_dir=tmp_path)
    found = list(ray_engine._hand_out(ray, request, [0, 1], Options(), Workers(1), progress, notes.append))
    assert reports == [(0, 7), (3, 7), (7, 7)]
    assert [result.episode for result in found] == [0, 1]
    assert notes == ["the worker of episode 0 died; another one continues it"]


def test_what_the_policies_of_workers_have_to_say_is_said_once(tmp_path):
    results = [EpisodeResult(index, tmp_path, notes=("left out",)) for index in range(3)]
    notes = []
    assert list(ray_engine._tell_notes(iter(results), notes.append)) == results
    assert notes == ["left out"]


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        ({"workers": 0}, "--workers 0 is not allowed; choose at least 1", 1),
        ({"gpus-per-worker": 1.5}, "--gpus-per-worker 1.5 is not allowed; choose 0 to 1, or a whole number", 1),
        ({"engine": "slurm"}, "invalid value 'slurm' for --engine; choose from local, ray", 2),
    ],
)
def test_nonsense_is_one_line(dlscore, options, change, words, code):
    exit_code, out, err = dlscore("compute", *flat(options | {"engine": "ray"} | change))
    assert (exit_code, out) == (code, "")
    assert words in err
    assert err.count("\n") == 1


def test_without_ray_the_message_says_what_to_install(dlscore, options, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    code, _, err = dlscore("compute", *flat(options), "--engine", "ray")
    assert code == 1
    assert "--engine ray needs Ray, which is not installed; pip install '.[ray]' in the source" in err


@pytest.mark.slow
def test_what_a_worker_cannot_load_ends_the_run(dataset_folder, tmp_path):
    # As where the machine of a worker does not have the policy. It is found before torch is imported.
    pytest.importorskip("ray")
    request = Request(policy_path=str(tmp_path / "gone"), dataset_root=str(dataset_folder), output_dir=tmp_path)
    with pytest.raises(EngineError, match=r"a worker cannot start .*policy .*gone"):
        list(ray_engine.run_ray(request, {0: 14}, Options(), Workers(1)))
    assert os.listdir(tmp_path) == []


@pytest.fixture
def head(tmp_path, monkeypatch):
    """A cluster as `ray start --head` starts it, after a local run; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray = Path(sys.executable).with_name("ray")
    for variable in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):  # of a local run in this process
        monkeypatch.delenv(variable, raising=False)
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(tmp_path)}
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 32)  # what a local run of Ray leaves
    command = [ray, "start", "--head", "--port", str(port), "--num-cpus", "2", "--include-dashboard", "false",
               "--node-ip-address", "127.0.0.1", "--disable-usage-stats"]  # fmt: skip
    # Its own end, and not `ray stop`, which would end every cluster of this user.
    started = subprocess.Popen([*command, "--block"], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert started.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    yield f"127.0.0.1:{port}"
    started.terminate()
    started.wait(60)


@pytest.mark.slow
def test_a_cluster_that_wants_a_token_is_used_as_documented(head, options, tmp_path):
    code = "from dlscore.cli.commands import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "compute", *map(str, flat(options)), "--engine", "ray", "--json"],
                          capture_output=True, text=True, check=False, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in json.loads(done.stdout)["episodes"]] == ["computed"] * 5
    assert "5 episodes: 70/70 steps" in done.stderr


def test_a_cluster_that_happens_to_run_here_is_not_joined(monkeypatch):
    # By itself ray.init() would join it; a stand-in tells what it is asked.
    asked = {}
    stand_in = SimpleNamespace(init=asked.update, cluster_resources=dict, shutdown=dict, __spec__=object())
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with ray_engine.connected(Workers(3)):
        assert (asked["address"], asked["num_cpus"]) == ("local", 3)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere.invalid:6379", "[::1]:1"])
def test_an_address_that_does_not_answer_is_one_line(dlscore, options, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    code, _, err = dlscore("compute", *flat(options), "--engine", "ray")
    assert code == 1
    assert f"RAY_ADDRESS {address} does not answer" in err.splitlines()[-1]


def test_workers_without_ray_are_an_error(dlscore, options):
    code, _, err = dlscore("compute", *flat(options), "--workers", "3")
    assert (code, "are of --engine ray; add it" in err) == (2, True)
