"""The density itself in a cache: written, read back exactly, resumed, extended, merged, damaged, opened by xarray."""

import h5py
import numpy as np
import pytest
from support.synthetic import rewrite, write_cache

from dlscore.cache import methods
from dlscore.cache.errors import CacheError
from dlscore.cache.merge import merge
from dlscore.cache.reader import open_cache
from dlscore.cache.verify import verify
from dlscore.cache.writer import CacheWriter
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture
from dlscore.density.rounding import rounded

BOX = [[12.0, 12.0], [511.0, 511.0]]


def two_modes(box=None):
    mean = np.array([[240.0, 250.0], [300.1, 260.3], [300.0, 260.0]])
    covariance = np.array([[[900, 200], [200, 300]], [[64, 8], [8, 81]], [[100, 0], [0, 100]]], dtype=float)
    return Mixture(mean, covariance, [0.9, 0.5, -0.4], [0.9, 0.0, 0.1], box).normalised()


@pytest.fixture(params=[None, BOX], ids=["free", "box"])
def dense(request, tmp_path):
    return write_cache(tmp_path / "episode_000.h5", mixture=two_modes(request.param))


def test_the_mixture_that_is_read_is_the_one_that_was_scored_to_the_last_bit(dense):
    with open_cache(dense) as cache:
        assert cache.has_mixture("likelihood")
        assert not cache.has_mixture("distance")
        for step in range(cache.steps):
            scores = log_cell_density(cache.mixture("likelihood", step), cache.grid)
            np.testing.assert_array_equal(scores.astype(np.float32), cache.score("likelihood", step))
        assert cache.denoised_chunks("likelihood", 2).shape == (4, 16, 2)
        assert cache.denoised_chunks("distance", 2).shape == (0, 16, 2)
        assert sorted(cache.checks("likelihood")) == ["error", "inside"]
        distances, log_error = cache.log_error("likelihood")
        np.testing.assert_array_equal(distances, [1, 3, 8])
        np.testing.assert_allclose(log_error[:, 2], 5 * cache.checks("likelihood")["error"])
        assert cache.own_ranks("likelihood").shape == (6, 2)
        assert cache.own_ranks("distance") is cache.log_error("distance") is None
    assert verify(dense)["checksums"]["arrays"] == 24


def test_a_method_without_a_mixture_is_named(dense):
    with open_cache(dense) as cache, pytest.raises(CacheError, match="has no mixture of distance"):
        cache.mixture("distance", 0)


def test_rounding_moves_little_and_only_once():
    rng = np.random.default_rng(0)
    deviation = np.exp(rng.uniform(0, 3.5, (300, 2)))
    angle = rng.uniform(0, np.pi, 300)
    turn = np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), -1, 0)
    covariance = (turn * deviation[:, None] ** 2) @ turn.swapaxes(1, 2)
    even = np.full(300, 1 / 300)
    exact = Mixture(rng.uniform(0, 512, (300, 2)), covariance, even, even)
    once = rounded(exact)
    twice = rounded(once)
    for name in ("mean", "covariance", "weight", "base"):
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name))
        np.testing.assert_array_equal(getattr(once, name), getattr(once, name).astype(np.float32))
    narrowest = deviation.min(axis=1)
    assert (np.abs(once.mean - exact.mean).max(axis=1) <= narrowest / 128).all()
    eigenvalues = np.linalg.eigvalsh(once.covariance)
    np.testing.assert_allclose(np.sqrt(eigenvalues[:, 0]), narrowest, rtol=1e-3)


def test_an_old_cache_gains_a_method_with_a_mixture_and_another_file_gives_it(tmp_path, dense):
    old = write_cache(tmp_path / "other.h5", methods=("distance",))
    with open_cache(dense) as cache:
        before = cache.mixture("likelihood", 3)
    assert merge(old, [dense]) == ["likelihood"]
    assert verify(old)["sealed"]
    with open_cache(old) as cache:
        np.testing.assert_array_equal(cache.mixture("likelihood", 3).covariance, before.covariance)
        assert cache.own_ranks("likelihood").shape == (6, 2)
        assert cache.log_error("likelihood")[1].shape == (6, 3)


def test_a_part_without_the_method_keeps_nothing_of_it(tmp_path):
    path = tmp_path / "episode_000.h5"
    write_cache(path, finish=False, mixture=two_modes())
    CacheWriter.narrow(path, ["likelihood"])
    with open_cache(path.with_name("episode_000.h5.part"), partial=True) as cache:
        assert cache.methods == ("distance",)
    with h5py.File(path.with_name("episode_000.h5.part")) as file:
        assert not [name for name in ("mixture", "checks") if f"{name}/likelihood" in file]


def read_densities(path):
    with open_cache(path) as cache:
        cache.checks("likelihood")
        return [cache.mixture("likelihood", step) for step in range(cache.steps)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.pop("mixture/likelihood/base"), "no dataset 'mixture/likelihood/base'"),
        (lambda file: file["scores/likelihood"].attrs.__setitem__("components", 4), "has 3 along component, not 4"),
        (lambda file: file["scores/likelihood"].attrs.__setitem__("components", "many"), "the attribute components"),
        (lambda file: file["scores/likelihood"].attrs.__setitem__("box", '["here"]'), "is damaged"),
        (lambda file: file["mixture/likelihood/covariance"].__setitem__((2, 0), [1, 5, 1]), "positive definite"),
        (lambda file: file["mixture/likelihood/mean"].__setitem__((2, 0, 0), np.nan), "must be finite"),
        (lambda file: file["checks/likelihood/error"].__setitem__(2, np.nan), "non-finite"),
    ],
)
def test_damage_is_one_error(dense, change, message):
    rewrite(dense, change)
    with pytest.raises(CacheError, match=message):
        read_densities(dense)


def test_two_methods_may_have_mixtures_of_different_sizes(tmp_path):
    path = write_cache(tmp_path / "episode_000.h5", mixture=two_modes())
    attrs = {"kind": "log_density", "units": "nats / px^2", "parameters": {}, "definition": "", "evaluations_per_step": 0,
             "components": 5}  # fmt: skip
    writer = CacheWriter.extend(path, {"other": attrs})
    with open_cache(path) as cache:
        count = cache.steps
    five = np.full((count, 5), 0.2)
    writer.write(
        slice(0, count),
        {
            "scores/other": np.zeros((count, 32, 32)),
            "mixture/other/mean": np.full((count, 5, 2), 100.0),
            "mixture/other/covariance": np.tile([4.0, 0.0, 4.0], (count, 5, 1)),
            "mixture/other/weight": five,
            "mixture/other/base": five,
            "mixture/other/log_norm": np.zeros(count),
        },
    )
    writer.finish()
    with open_cache(path) as cache:
        assert len(cache.mixture("other", 1).weight) == 5
        assert len(cache.mixture("likelihood", 1).weight) == 3
    assert verify(path)["sealed"]


def test_xarray_reads_it_and_what_xarray_writes_is_read(dense, tmp_path):
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with open_cache(dense) as cache, cache.to_xarray() as tree:
        mean = tree["mixture/likelihood/mean"]
        assert mean.dims == ("time", "component", "xy")
        assert mean.attrs["units"] == "px"
        np.testing.assert_array_equal(mean[2], cache.mixture("likelihood", 2).mean)
        log_error = tree["checks/likelihood/log_error"]
        assert log_error.dims == ("time", "distance")
        np.testing.assert_array_equal(log_error["distance"], [1, 3, 8])
        tree.load()
        tree.to_netcdf(tmp_path / "copy.h5", engine="h5netcdf")
        with open_cache(tmp_path / "copy.h5") as copy:
            np.testing.assert_array_equal(copy.mixture("likelihood", 2).mean, cache.mixture("likelihood", 2).mean)


def test_the_first_mixtures_are_kept_and_no_more(dense, monkeypatch):
    with open_cache(dense) as cache:
        count = len(cache.mixture("likelihood", 0).weight)
        assert cache.mixture("likelihood", 0) is cache.mixture("likelihood", 0)
    monkeypatch.setattr(methods, "KEPT", count)
    with open_cache(dense) as cache:
        assert cache.mixture("likelihood", 0) is cache.mixture("likelihood", 0)
        assert cache.mixture("likelihood", 1) is not cache.mixture("likelihood", 1)
    with pytest.raises(CacheError, match="is closed"):
        cache.mixture("likelihood", 0)
