"""`--checkpoints`: every checkpoint of a training run on the same episodes, from one replay."""

import json
import shutil

import pytest
from support import stub
from support.runs import assert_same, flat

from dlscore.episodes import replay as replays


@pytest.fixture
def training(quick_policy_folder, tmp_path):
    """A training run of two checkpoints, and one that is not completely saved."""
    run = tmp_path / "run"
    shutil.copytree(quick_policy_folder, run / "checkpoints" / "000100" / "pretrained_model")
    stub.save_policy(run / "checkpoints" / "002000" / "pretrained_model", num_inference_steps=4)
    (run / "checkpoints" / "003000" / "pretrained_model").mkdir(parents=True)
    (run / "checkpoints" / "last").symlink_to("002000")
    return run


@pytest.fixture
def options(options, training):
    return options | {"policy-path": training, "episodes": "0-1", "max-steps": 12}


def test_each_has_the_caches_of_a_run_of_its_own(dlscore, options, training, tmp_path, monkeypatch):
    stepped = []
    worlds = replays.worlds
    monkeypatch.setattr(
        replays, "worlds", lambda episode, *rest: stepped.append(episode.index) or worlds(episode, *rest)
    )
    code, out, err = dlscore("compute", *flat(options), "--checkpoints", "all")
    assert code == 0, err
    assert stepped == [0, 1]  # of the first checkpoint only
    assert out.count("computed, 12 steps") == 4
    assert "checkpoint 002000 (2 of 2)" in err
    for name in ("000100", "002000"):
        alone = options | {
            "policy-path": training / "checkpoints" / name / "pretrained_model",
            "output-dir": tmp_path / name,
        }
        assert dlscore("compute", *flat(alone))[0] == 0
        for index in range(2):
            file = f"episode_{index:03d}.h5"
            assert_same(options["output-dir"] / name / file, tmp_path / name / file)


def test_some_are_chosen_and_reported_by_name(dlscore, options):
    code, out, err = dlscore("compute", *flat(options), "--checkpoints", "2000", "--json")
    assert code == 0, err
    ((name, report),) = json.loads(out)["checkpoints"].items()
    assert (name, report["summary"]["done"]) == ("002000", 2)
    code, out, _ = dlscore("compute", *flat(options), "--checkpoints", "all", "--dry-run")
    assert [line for line in out.splitlines() if line.startswith("checkpoint")] == [
        "checkpoint 000100",
        "checkpoint 002000",
    ]
    assert "2 episodes: 2 missing" in out
    assert "2 episodes: 2 current" in out


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ("3000", "has '3000'; did you mean 002000 or 000100? choose from all, 000100, 002000"),
        ("some", "has 'some'"),
        ("", "has ''"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_one_line(dlscore, options, chosen, told):
    code, out, err = dlscore("compute", *flat(options), "--checkpoints", chosen)
    assert (code, out) == (1, "")
    assert told in err
    assert err.count("\n") == 1


def test_a_policy_without_checkpoints_is_one_line(dlscore, options, quick_policy_folder):
    code, _, err = dlscore("compute", *flat(options | {"policy-path": quick_policy_folder}), "--checkpoints", "all")
    assert code == 1
    assert "has no checkpoints/<step>/pretrained_model; --checkpoints needs the folder of a training run" in err
