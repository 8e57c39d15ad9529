"""`--every N`: the rows of a stride are those of the whole run, and the cache says which steps they are."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.mixed import Mixed
from support.runs import ALL, Stop, assert_same, everything, flat, stop

from dlscore.cache.errors import CacheError, StaleError
from dlscore.cache.merge import merge
from dlscore.cache.reader import open_cache
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.compute.settings import RequestError, Settings

WHOLE = replace(ALL, scorers=(*ALL.scorers, Mixed()), max_steps=None)
EVERY = 3


@pytest.fixture(scope="module")
def paths(quick_policy_folder, five_episodes_folder, tmp_path_factory):
    """(all 14 steps, each third of them) of episode 0."""
    from dlscore.episodes.dataset import open_dataset
    from dlscore.policy.load import load_policy

    folder, dataset = tmp_path_factory.mktemp("every"), open_dataset(root=five_episodes_folder)
    policy = load_policy(str(quick_policy_folder), device="cpu")
    for name, every in (("whole", 1), ("third", EVERY)):
        compute_episode(Run(policy, dataset, replace(WHOLE, every=every)), 0, folder / f"{name}.h5")
    return folder / "whole.h5", folder / "third.h5"


def test_the_rows_are_those_of_the_whole_run(paths):
    whole, third = map(everything, paths)
    assert whole.keys() == third.keys()
    # A mixture is rounded before it is stored; the scores are those of what is stored.
    by_step = [name for name, values in whole.items() if len(values) == 14 and not name.startswith("/mixture")]
    assert len(by_step) > 15
    for name in by_step:
        # The network rounds otherwise in other batches; a rank may then change by one of 1,000 draws.
        of_network = name.startswith(("/scores", "/checks", "/predicted"))
        rtol, atol = (1e-3, 2e-3) if of_network else (0, 0)  # of thousands of nats in the tails
        np.testing.assert_allclose(third[name], whole[name][::EVERY], rtol=rtol, atol=atol, err_msg=name)


def test_the_cache_says_which_steps_they_are(paths, dlscore):
    with open_cache(paths[1]) as cache:
        assert (cache.every, cache.steps, cache.attrs["episode_length"]) == (EVERY, 5, 14)
        np.testing.assert_allclose(cache.time, np.array([0, 3, 6, 9, 12]) / 10)
    assert "finished, 5/5 steps (1 in 3)" in dlscore("info", paths[1])[1]
    assert "(1 in" not in dlscore("info", paths[0])[1]


def test_another_stride_is_other_settings(paths, policy, dataset):
    with pytest.raises(StaleError, match="every: 3 -> null"):
        compute_episode(Run(policy, dataset, WHOLE), 0, paths[1])
    with pytest.raises(CacheError, match="is not of the run"):
        merge(paths[0], [paths[1]])


def test_a_stride_is_resumed_to_the_last_bit(policy, dataset, tmp_path):
    assert Settings(every=EVERY).count_steps(3 * 14) == 14  # more than a block of rows
    paths = [tmp_path / "undisturbed.h5", tmp_path / "stopped.h5"]
    run = Run(policy, _Long(dataset), replace(ALL, every=EVERY, max_steps=None))
    compute_episode(run, 0, paths[0])
    with pytest.raises(Stop):
        compute_episode(run, 0, paths[1], progress=stop)
    assert compute_episode(run, 0, paths[1]).state == "resumed"
    assert_same(*paths)


class _Long:
    # The data set with each episode three times as long, its start only known.
    def __init__(self, dataset):
        self._dataset = dataset

    def __getattr__(self, name):
        return getattr(self._dataset, name)

    def load(self, *arguments):
        episode = self._dataset.load(*arguments)
        seen = {name: np.tile(values, (3, 1)) for name, values in episode.observations.items()}
        return replace(episode, action=np.tile(episode.action, (3, 1)), agent=np.tile(episode.agent, (3, 1)),
                       block=episode.block[:1], observations=seen)  # fmt: skip


@pytest.mark.parametrize(("length", "limit", "every", "count"), [(24, None, 5, 5), (25, None, 5, 5), (26, None, 5, 6),
                                                                 (24, 10, 5, 2), (24, 11, 5, 3), (3, None, 100, 1)])  # fmt: skip
def test_how_many_steps_are_scored(length, limit, every, count):
    settings = Settings(max_steps=limit, every=every)
    assert settings.count_steps(length) == count
    assert list(range(length))[settings.steps_of(slice(0, count))][-1] < settings.reach(length)


def test_a_stride_of_nothing_is_refused():
    with pytest.raises(RequestError, match="--every 0 is not allowed; it must be at least 1"):
        Settings(every=0)


def test_a_dry_run_counts_the_steps_that_are_scored(dlscore, options):
    code, out, err = dlscore("compute", *flat(options | {"every": 5}), "--dry-run", "--json")
    assert code == 0, err
    assert [row["steps"] for row in json.loads(out)["episodes"]] == [3] * 5
