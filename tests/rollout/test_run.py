"""Rollouts as a data set: exactly replayed, scored as any other, resumed to the last bit, and never mixed with others."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.runs import ALL, with_methods

from dlscore.cache.errors import BusyError, FolderError
from dlscore.cache.lock import exclusive
from dlscore.cache.reader import open_cache
from dlscore.cache.verify import verify
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.replay import replay
from dlscore.policy.load import load_policy
from dlscore.pusht.env import get_state, make_env, set_state
from dlscore.rollout.keep import Kept, part_folder
from dlscore.rollout.run import run_rollouts
from dlscore.rollout.settings import RolloutError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(("index", "seed"), [(0, 16), (1, 0)])
def test_a_replay_is_the_rollout_to_the_last_bit(rollouts_folder, index, seed):
    episode = open_dataset(root=rollouts_folder).load(index)
    assert episode.seed == seed
    assert episode.pose_note == ""
    for step in replay(episode):
        np.testing.assert_array_equal(step.state, episode.state[step.index])


def test_a_start_that_is_set_would_not_be_the_seeds(rollouts_folder):
    episode = open_dataset(root=rollouts_folder).load(0)
    env = make_env()
    set_state(env, episode.state[0])
    env.step(episode.action[0])
    assert np.abs(get_state(env) - episode.state[1]).max() > 0.01


def test_a_seed_that_starts_elsewhere_today_is_told(rollouts_folder, monkeypatch):
    from gym_pusht.envs.pusht import PushTEnv

    reset = PushTEnv.reset
    monkeypatch.setattr(PushTEnv, "reset", lambda env, seed=None, options=None: reset(env, seed=seed + 1))
    episode = open_dataset(root=rollouts_folder).load(0)
    assert episode.seed is None
    assert "the installed gym-pusht starts its seed elsewhere" in episode.pose_note


def test_a_cache_of_rollouts_says_what_they_came_to(rollouts_folder, quick_policy_folder, tmp_path):
    policy, dataset = load_policy(str(quick_policy_folder), device="cpu"), open_dataset(root=rollouts_folder)
    path = tmp_path / "episode_001.h5"
    compute_episode(Run(policy, dataset, with_methods(ALL, {"distance": {}}, max_steps=12)), 1, path)
    verify(path)
    with open_cache(path) as cache:
        assert cache.action_label == "executed"
        assert cache.attrs["executed_by"] == str(quick_policy_folder)
        assert (cache.attrs["episode_length"], cache.attrs["episode_success"]) == (20, 0)
        assert cache.array("executed/chunk").tolist() == [0] * 8 + [1] * 4
        assert cache.array("executed/entry").tolist() == [*range(1, 9), *range(1, 5)]
        np.testing.assert_array_equal(cache.array("reward"), dataset.load(1).outcome["reward"][:12].astype(np.float32))
        assert not cache.array("success").any()
        assert cache.largest_drift()["block_px"] == 0


def test_a_killed_run_is_resumed_to_the_last_bit(request_of, rollouts_folder, monkeypatch):
    request = request_of((16, 0))
    save = Kept.save

    class Killed(Exception):
        pass

    def kill(kept, batch, runs):
        if batch == (0,):
            raise Killed
        save(kept, batch, runs)

    with monkeypatch.context() as patch:
        patch.setattr(Kept, "save", kill)
        with pytest.raises(Killed):
            run_rollouts(request)
    assert not request.folder.exists()
    assert len(list(part_folder(request.folder).glob("*.npz"))) == 1
    found = run_rollouts(request)
    assert found.state == "resumed"
    assert contents(request.folder) == contents(rollouts_folder)
    stats = json.loads((request.folder / "meta" / "stats.json").read_text())
    assert list(stats) == sorted(stats)  # LeRobot's own order changes with the process
    assert not part_folder(request.folder).exists()


def test_a_finished_data_set_is_left_as_it_is(request_of, rollouts_folder):
    request = request_of((16, 0), folder=rollouts_folder)
    before = contents(rollouts_folder)
    found = run_rollouts(request)
    assert (found.state, found.successes) == ("current", 0)
    assert contents(rollouts_folder) == before


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_steps": 19}, "max_steps: 20 -> 19"),
        ({"environments": 2}, "environments: 1 -> 2"),
        ({"seeds": (16, 1)}, "seeds"),
    ],
)
def test_rollouts_of_other_settings_are_refused(request_of, rollouts_folder, changes, told):
    options = {"seeds": (16, 0), "folder": rollouts_folder} | changes
    with pytest.raises(RolloutError, match=f"rollouts of other settings .*{told}"):
        run_rollouts(request_of(**options))


def test_a_part_of_other_settings_is_refused_and_force_starts_over(request_of):
    part = part_folder(request_of((1,)).folder)
    part.mkdir()
    (part / "identity.json").write_text(json.dumps({"policy": "another"}))
    with pytest.raises(RolloutError, match=r"keeps rollouts of other settings \(policy: "):
        run_rollouts(request_of((1,), max_steps=2))
    found = run_rollouts(request_of((1,), max_steps=2, force=True))
    assert [each.steps for each in found.acted] == [2]


def test_what_is_no_data_set_of_rollouts_is_left_alone(request_of):
    request = request_of((1,), force=True)
    request.folder.mkdir()
    (request.folder / "thesis.txt").write_text("mine")
    with pytest.raises(RolloutError, match="exists and is no data set of rollouts"):
        run_rollouts(request)
    assert (request.folder / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("force", [False, True])
def test_a_part_folder_with_files_of_the_users_is_left_alone(request_of, force):
    request = request_of((1,), max_steps=2, force=force)
    part = part_folder(request.folder)
    part.mkdir()
    (part / "mine.txt").write_text("mine")
    with pytest.raises(RolloutError, match=r"rollouts.part holds mine.txt, which is no rollout; move it, or choose"):
        run_rollouts(request)
    (part / "identity.json").write_text("{}")  # a note beside it makes it no rollout
    with pytest.raises(RolloutError, match=r"holds mine.txt"):
        run_rollouts(request)
    assert (part / "mine.txt").read_text() == "mine"


def test_an_empty_part_folder_is_used_and_a_file_of_its_name_is_kept(request_of):
    request = request_of((1,), max_steps=2)
    part = part_folder(request.folder)
    part.write_text("mine")
    with pytest.raises(RolloutError, match=r"rollouts.part is a file"):
        run_rollouts(request)
    assert part.read_text() == "mine"
    part.unlink()
    part.mkdir()
    assert run_rollouts(request).state == "made"
    assert not part.exists()


def test_what_comes_to_the_part_folder_during_a_run_is_kept(tmp_path):
    kept = Kept(tmp_path / "rollouts.part", {"policy": "a"})
    (tmp_path / "rollouts.part" / "mine.txt").write_text("mine")
    with pytest.raises(RolloutError, match=r"holds mine.txt"):
        kept.remove()
    assert (tmp_path / "rollouts.part" / "mine.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_made_names_the_option_of_rollouts(request_of, monkeypatch):
    from dlscore.cache import lock

    def refuse(path, mark):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lock, "_make", refuse)
    with pytest.raises(FolderError, match=r"cannot make .*rollouts.lock .*; choose another -o$"):
        run_rollouts(request_of((1,)))


def test_rollouts_that_another_run_makes_name_the_option_of_rollouts(request_of):
    request = request_of((1,))
    with exclusive(request.folder), pytest.raises(BusyError, match=r"another run .*, or choose another -o$"):
        run_rollouts(request)


def test_the_command_tells_the_success_rate_with_its_interval(dlscore, rollouts_folder, quick_policy_folder):
    options = ["--policy-path", quick_policy_folder, "--seeds", "16,0", "--max-steps", 20, "--device", "cpu", "-o",
               rollouts_folder]  # fmt: skip
    code, out, err = dlscore("rollout", *options)
    assert code == 0, err
    assert out.splitlines()[0].startswith("seed 16: no success, 20 steps, best reward 0.")
    assert out.splitlines()[-1].endswith("current, 0 of 2 succeeded: 0.00 [0.00, 0.66] (95 %, Wilson)")
    code, out, _ = dlscore("rollout", *options, "--json")
    assert json.loads(out)["success"]["interval"] == pytest.approx([0, 0.6576], abs=1e-4)
