"""A device that runs out of memory gets smaller batches, and the same scores."""

import torch
from support.runs import ALL, assert_same

from dlscore.cache.reader import open_cache
from dlscore.compute.batch import attempt
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.policy.load import load_policy


def test_a_device_out_of_memory_halves_the_batch_and_says_so(policy_folder, dataset, tmp_path, monkeypatch):
    policy = load_policy(str(policy_folder), device="cpu", batch_size=64)
    epsilon, notes = type(policy).epsilon, []

    def small(self, x, t, conditioning):
        if self.batch_size > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return epsilon(self, x, t, conditioning)

    monkeypatch.setattr(type(policy), "epsilon", small)
    path = tmp_path / "a" / "episode_000.h5"
    compute_episode(Run(policy, dataset, ALL), 0, path, notice=notes.append)
    assert [note.rpartition("--batch-size ")[2] for note in notes] == ["32", "16"]
    with open_cache(path) as cache:
        assert cache.attrs["batch_size"] == 16
        assert cache.attrs["network_evaluations"] == 14 * (41 + 16 * 9 + 3 * 64 + 2 * 5)  # with a pilot of 41
    monkeypatch.undo()
    whole = tmp_path / "b" / "episode_000.h5"
    compute_episode(Run(load_policy(str(policy_folder), device="cpu", batch_size=16), dataset, ALL), 0, whole)
    assert_same(path, whole)


def test_a_device_without_any_memory_is_an_error(policy_folder, dataset, tmp_path, monkeypatch):
    policy = load_policy(str(policy_folder), device="cpu", batch_size=4)
    monkeypatch.setattr(type(policy), "epsilon", lambda *_: 1 / 0)
    assert "internal error (ZeroDivisionError" in attempt(Run(policy, dataset, ALL), 0, tmp_path).reason

    def none(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(type(policy), "epsilon", none)
    reason = attempt(Run(policy, dataset, ALL), 0, tmp_path).reason
    assert "cpu has no memory for policy" in reason
    assert "even with --batch-size 1" in reason
