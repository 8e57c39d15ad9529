"""A cache of other settings, a damaged one and a foreign one are told apart, and named."""

from dataclasses import replace

import h5py
import pytest
from support.runs import ALL, QUICK, Stop, stop, with_methods
from support.synthetic import rewrite

from dlscore.cache.errors import CacheError
from dlscore.cache.schema import part_path
from dlscore.compute.episode import compute_episode
from dlscore.compute.run import Run
from dlscore.compute.settings import Options
from dlscore.compute.state import CacheState, inspect_cache


def test_other_settings_are_an_error_that_names_them(policy, dataset, finished):
    other = replace(ALL, seed=1, resolution=9)
    with pytest.raises(CacheError, match=r"action_resolution: 8 -> 9, seed: 0 -> 1.*--force starts over"):
        compute_episode(Run(policy, dataset, other), 0, finished)
    finer = with_methods(ALL, {"likelihood": QUICK | {"samples": 32}})
    with pytest.raises(CacheError, match="likelihood samples: 16 -> 32"):
        compute_episode(Run(policy, dataset, finer), 0, finished)
    assert compute_episode(Run(policy, dataset, other), 0, finished, Options(replace_stale=True)).state == "computed"
    assert compute_episode(Run(policy, dataset, other), 0, finished, Options(replace_stale=True)).state == "current"
    assert compute_episode(Run(policy, dataset, other), 0, finished, Options(force=True)).state == "computed"


def test_an_unreadable_part_is_named_and_replaced_on_request(policy, dataset, tmp_path):
    path = tmp_path / "episode_000.h5"
    part_path(path).write_bytes(b"not HDF5")
    assert inspect_cache(path, {}, {}).name == "stale"
    with pytest.raises(CacheError, match="not a readable HDF5 file"):
        compute_episode(Run(policy, dataset, ALL), 0, path)
    assert compute_episode(Run(policy, dataset, ALL), 0, path, Options(replace_stale=True)).state == "computed"


@pytest.mark.parametrize(("name", "value"), [("schema", "my measurements"), ("schema_version", "2.0")])
def test_what_is_no_cache_of_ours_is_replaced_by_force_only(policy, dataset, tmp_path, name, value):
    path = tmp_path / "episode_000.h5"
    settings = with_methods(ALL, {"distance": {}})
    compute_episode(Run(policy, dataset, settings), 0, path)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    before = path.read_bytes()
    with pytest.raises(CacheError, match="--force starts over"):
        compute_episode(Run(policy, dataset, settings), 0, path, Options(replace_stale=True))
    assert path.read_bytes() == before
    assert compute_episode(Run(policy, dataset, settings), 0, path, Options(force=True)).state == "computed"


def test_every_state_of_a_cache(policy, dataset, finished, tmp_path):
    run, path = Run(policy, dataset, ALL), tmp_path / "episode_000.h5"
    identity = run.identity(run.load(0))
    less = with_methods(ALL, {"distance": {}})
    assert inspect_cache(path, identity, run.score_attrs) == CacheState("missing")
    assert inspect_cache(finished, identity, run.score_attrs) == CacheState("current")
    assert inspect_cache(finished, identity, Run(policy, dataset, less).score_attrs) == CacheState("current")
    with pytest.raises(Stop):
        compute_episode(Run(policy, dataset, less), 0, path, progress=stop)
    assert inspect_cache(path, identity, Run(policy, dataset, less).score_attrs) == CacheState("partial")
    compute_episode(Run(policy, dataset, less), 0, path)
    assert inspect_cache(path, identity, run.score_attrs) == CacheState("lacking", "likelihood, noise_pred")
    found = inspect_cache(finished, identity | {"seed": 7}, run.score_attrs)
    assert (found.name, "seed: 0 -> 7" in found.reason) == ("stale", True)
    rewrite(finished, lambda file: file.attrs.__setitem__("schema", "mine"))
    assert inspect_cache(finished, identity, run.score_attrs).name == "foreign"
