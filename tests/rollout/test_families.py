"""Policies of other families act too: whole chunks from the current action on, by their own count."""

import numpy as np
from support import families
from support.checkpoints import load

from dlscore.episodes.episode import IMAGE, STATE, to_unit
from dlscore.rollout.act import check_policy, roll_out
from dlscore.rollout.settings import RolloutSettings


def test_an_act_executes_its_chunks(tmp_path):
    policy = load(families.save_act(tmp_path / "act"))
    check_policy(policy)
    (run,) = roll_out(policy, [3], RolloutSettings((3,), 1, 6))
    np.testing.assert_array_equal(run.chunk, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(run.entry, [0, 1, 2, 3, 0, 1])
    for step in (0, 4):
        seen = {name: to_unit(run.observations[name][step][None, None]) for name in policy.inputs}
        chunk = policy.to_px(policy.sample(policy.encode(seen), [[0]])[0, 0].numpy())
        np.testing.assert_allclose(run.action[step : step + 4], chunk[: min(4, 6 - step)], atol=1e-3)


def test_a_vqbet_executes_its_atoms(tmp_path, capsys):
    policy = load(families.save_vqbet(tmp_path / "vqbet"))
    (run,) = roll_out(policy, [3], RolloutSettings((3,), 1, 4))
    assert capsys.readouterr().out.count("parameters") == 1  # of the one that the test made: nothing else is printed
    np.testing.assert_array_equal(run.entry, [0, 1, 2, 0])
    seen = {
        name: to_unit(run.observations[name][[0, 0]])[None] for name in (STATE, IMAGE)
    }  # LeRobot repeats the first one
    atoms = policy.to_px(policy.atoms(policy.encode(seen))[1][0].numpy())  # (K, H, 2)
    assert np.abs(atoms[:, :3] - run.action[:3]).max(axis=(1, 2)).min() < 1e-3
