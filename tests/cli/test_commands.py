"""`dlscore` on the command line: bad input is one line on stderr that says what, why and what to do; nothing is left."""

import gzip
import json
import os
import re

import pytest
from support import ROOT
from support.runs import flat
from support.synthetic import write_cache


def test_compute_then_info(dlscore, options):
    code, out, err = dlscore("compute", *flat(options), "--json")
    assert code == 0, err
    (row,) = json.loads(out)["episodes"]
    assert (row["state"], row["steps"], row["warning"]) == ("computed", 2, "")
    code, out, _ = dlscore("info", row["path"])
    assert code == 0
    assert "episode 0, finished, 2/2 steps" in out
    code, out, _ = dlscore("info", row["path"], "--json")
    assert json.loads(out)["files"][0]["grid"] == [8, 8]
    code, out, _ = dlscore("compute", *flat(options))
    assert code == 0
    assert "current" in out


def test_what_the_drawn_chunks_cost_is_told_also_where_the_method_costs_nothing(dlscore, options):
    code, out, _ = dlscore("compute", *flat({**options, "scoring-method": "distance", "chunks": 3}), "--json")
    assert code == 0
    (row,) = json.loads(out)["episodes"]
    code, out, _ = dlscore("info", row["path"], "--json")
    (described,) = json.loads(out)["files"]
    assert described["methods"]["distance"]["evaluations_per_step"] == 0
    assert described["chunk_evaluations_per_step"] == 3 * 100  # DDPM, 100 timesteps
    assert "drawn with 300 evaluations per step" in dlscore("info", row["path"])[1]


def test_what_the_density_is_worth_is_told_by_compute_and_info(dlscore, options):
    code, out, err = dlscore("compute", *flat({**options, "scoring-method": "likelihood", "quality": "draft"}))
    assert code == 0, err
    for told in (out, dlscore("info", options["output-dir"] / "episode_000.h5")[1]):
        assert re.search(
            r"error 0\.\d{3}, largest 0\.\d{3} \(total variation\); inside the grid [\d.]+ % or more", told
        )
        assert "own actions: mean rank 0." in told


def test_the_checks_of_earlier_versions_are_still_told(dlscore, tmp_path):
    path = tmp_path / "episode_000.h5"
    path.write_bytes(gzip.decompress((ROOT / "tests" / "support" / "old_caches" / "schema_1.4.h5.gz").read_bytes()))
    code, out, _ = dlscore("info", path)
    assert code == 0
    assert "standard error 0." in out
    assert "difference of the noise levels 0." in out


def test_options_as_lerobots_users_write_them(dlscore, options):
    spelled = {name.replace("-", "_"): value for name, value in options.items()}
    del spelled["policy_path"], spelled["device"]
    argv = [f"--policy.path={options['policy-path']}", "--policy.device=cpu", *flat(spelled)]
    assert dlscore("compute", *argv, "--episode_idx", 1)[0] == 0
    assert os.listdir(options["output-dir"]) == ["episode_001.h5"]


def test_methods_by_commas_or_again(dlscore, options):
    options["scoring-method"] = "distance,noise_pred"
    code, out, _ = dlscore(
        "compute", *flat(options), "--scoring_method", "likelihood", "--samples", 16, "--density", "model", "--json"
    )
    assert code == 0
    (row,) = json.loads(out)["episodes"]
    code, out, _ = dlscore("info", row["path"], "--json")
    assert sorted(json.loads(out)["files"][0]["methods"]) == ["distance", "likelihood", "noise_pred"]


def test_a_dry_run_writes_nothing(dlscore, options):
    code, out, _ = dlscore("compute", *flat(options), "--dry-run", "--episodes", "all")
    assert code == 0
    assert [line.split(": ")[1].split(",")[0] for line in out.splitlines()] == ["missing", "missing", "2 missing"]
    assert not options["output-dir"].exists()


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        ({"policy-path": "nowhere/at all"}, "policy nowhere/at all is neither a folder nor a hub id", 1),
        ({"dataset-root": "nowhere"}, "--dataset-root nowhere does not exist", 1),
        ({"episodes": "999"}, "episode 999 is not in tiny; it has episodes 0 to 1", 1),
        ({"action-resolution": 1}, "--action-resolution 1 is not allowed; choose 2 to 1024", 1),
        ({"action-resolution": "many"}, "action-resolution", 2),
        (
            {"scoring-method": "vibes"},
            "invalid value 'vibes' for --scoring-method; choose from likelihood, distance, noise_pred",
            1,
        ),
        ({"device": "cuda:99"}, "--device cuda:99 is not on this machine", 1),
        ({"replay": "dreams"}, "invalid value 'dreams' for --replay; choose from actions, states", 1),
        ({"observations": "dreams"}, "invalid value 'dreams' for --observations; choose from recorded, replayed", 1),
        (
            {"block-pose": "dreams"},
            "invalid value 'dreams' for --block-pose; choose from auto, state, keypoints, companion",
            1,
        ),
        ({"block-pose": "image"}, "--block-pose image needs a feature that it lacks", 1),
        ({"rename-map": "a=b"}, "--rename-map 'a=b' is not understood; write JSON", 1),
        ({"rename-map": '{"a": "b"}'}, "--rename-map renames 'a', which data set tiny lacks", 1),
        ({"rename-map": '{"full_state": "action"}'}, "--rename-map gives 'action' to two features", 1),
        ({"max-steps": 0}, "max-steps", 2),
        ({"no-such-option": 1}, "No such option", 2),
        ({"output-dir": "README.md/cache"}, "README.md is a file", 1),
    ],
)
def test_bad_input_is_one_line(dlscore, options, change, words, code):
    exit_code, out, err = dlscore("compute", *flat(options | change))
    assert exit_code == code
    assert words in err
    assert err.count("\n") == 1
    assert err.startswith("dlscore: error: ")
    assert out == ""
    assert not options["output-dir"].exists()


def test_an_unknown_hub_policy_is_answered_at_once(dlscore, options, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = dlscore("compute", *flat(options | {"policy-path": "nobody/nothing"}))
    assert code == 1
    assert "model nobody/nothing is not a folder here, not cached, and the hub cannot be reached" in err
    assert err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes read-only folders")
def test_a_read_only_folder_is_named(dlscore, options, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    code, _, err = dlscore("compute", *flat(options | {"output-dir": tmp_path / "locked" / "cache"}))
    assert code == 1
    assert "is read-only" in err


def test_files_that_are_no_caches_are_named(dlscore, tmp_path):
    foreign = tmp_path / "foreign.h5"
    foreign.write_bytes(b"not HDF5 at all")
    for path, words in ((foreign, "not a readable HDF5 file"), (tmp_path / "gone.h5", "is not a file")):
        code, out, err = dlscore("info", path)
        assert code == 1
        assert words in err
        assert err.count("\n") == 1
        assert out == ""


def test_status_is_a_table(command, tmp_path):
    from dlscore.cli import commands

    write_cache(tmp_path / "episode_000.h5")
    write_cache(tmp_path / "episode_001.h5", finish=False)
    (tmp_path / "episode_001.h5.lock").touch()
    (tmp_path / "episode_002.h5").write_bytes(b"nothing")
    code, out, err = command(commands, "status", tmp_path / "nowhere")
    assert code == 1
    assert "nowhere is not a folder; give a folder of caches" in err
    code, out, _ = command(commands, "status", tmp_path)
    assert code == 0
    assert [line.split()[1:4] for line in out.splitlines()[1:4]] == [
        ["0", "finished", "6/6"], ["1", "partial", "(locked)"], ["2", "damaged", "0/0"],
    ]  # fmt: skip
    assert "3/6" in out
    assert "not a readable HDF5 file" in out
    assert out.splitlines()[-1] == "1 finished, 1 partial, 1 damaged"
