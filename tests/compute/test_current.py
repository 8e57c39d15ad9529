"""What is current is recognised without torch, and what decides the numbers is a digest of files."""

import json
import os
import shutil

import pytest
from support import stub
from support.processes import run_without
from support.runs import flat

from dlscore.compute.prepare import digest_request
from dlscore.compute.settings import Request

WITHOUT = ("torch", "torchvision", "lerobot", "diffusers")


@pytest.fixture
def checkpoint(policy_folder, tmp_path):
    return shutil.copytree(policy_folder, tmp_path / "policy")


@pytest.fixture
def data(dataset_folder, tmp_path):
    return shutil.copytree(dataset_folder, tmp_path / "data")


def test_current_caches_need_no_torch(dlscore, quick_options):
    argv = [*flat(quick_options), "--episodes", "0-1", "--max-steps", "2", "--json"]
    assert dlscore("compute", *argv)[0] == 0
    done = run_without("from dlscore.cli.commands import main; main()", "compute", *map(str, argv), forbid=WITHOUT)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in json.loads(done.stdout)["episodes"]] == ["current", "current"]


@pytest.mark.parametrize(
    "change", [("seed", 1), ("max-steps", 3), ("scoring-method", "distance,likelihood"), ("chunks", 2)]
)
def test_a_cache_of_other_settings_is_not_current(dlscore, quick_options, change):
    argv = {**quick_options, "max-steps": 2}
    assert dlscore("compute", *flat(argv))[0] == 0
    done = run_without("from dlscore.cli.commands import main; main()", "compute",
                       *map(str, flat({**argv, change[0]: change[1]})), forbid=WITHOUT)  # fmt: skip
    assert done.returncode == 1
    assert "scoring needs " in done.stderr


def test_each_file_that_decides_the_numbers_changes_the_digest(checkpoint, data):
    request = Request(str(checkpoint), dataset_root=str(data), episodes="all")
    seen = [digest_request(request)]
    assert digest_request(request) == seen[0]
    files = [checkpoint / "config.json", checkpoint / "model.safetensors", *checkpoint.glob("*processor.json"),
             *(data / "data").rglob("*.parquet"), data / "meta" / "info.json"]  # fmt: skip
    for file in files:
        os.utime(file, ns=(0, file.stat().st_mtime_ns - 10**9))  # also by an older file
        seen.append(digest_request(request))
        assert seen[-1].keys() == seen[0].keys()
        assert seen[-1] not in seen[:-1], file
    (checkpoint / "README.md").write_text("words")
    assert digest_request(request) == seen[-1]


def test_a_changed_chunk_of_a_zarr_is_of_its_episodes_alone(checkpoint, tmp_path):
    zarr = pytest.importorskip("zarr")
    folder = stub.save_zarr(tmp_path / "tiny.zarr")
    store = zarr.open_group(str(folder), mode="a")
    for name in ("data/state", "data/action"):  # a chunk an episode
        values = store[name][:]
        del store[name]
        store.create_dataset(name, data=values, chunks=(24, values.shape[1]))
    request = Request(str(checkpoint), dataset_root=str(folder), episodes="0-1")
    before = digest_request(request)
    os.utime(folder / "data" / "state" / "1.0", (1e9, 1e9))
    after = digest_request(request)
    assert (before[0], after[0] != before[0], after[1] != before[1]) == (after[0], False, True)


def test_the_command_prints_an_episode_and_its_digest_a_line(dlscore, checkpoint, data):
    code, out, _ = dlscore("inputs", "--policy-path", checkpoint, "--dataset-root", data, "--episodes", "all")
    digests = digest_request(Request(str(checkpoint), dataset_root=str(data), episodes="all"))
    assert (code, out.split()) == (0, [f"{index}:{digest}" for index, digest in digests.items()])
