"""What a cache says of its densities: errors, mass inside, the policy's own actions, and warnings that are rare."""

import numpy as np
import pytest
from support.synthetic import rewrite, write_cache

from dlscore.cache.reader import open_cache
from dlscore.cache.summary import read_densities
from dlscore.cache.trust import density_name
from dlscore.density.mixture import Mixture

ONE = Mixture([[256.0, 256.0]], [np.diag([400.0, 900.0])], [1.0], [1.0])


def store(path, name, values):
    def change(file):
        file[f"checks/likelihood/{name}"][:] = values

    rewrite(path, change)
    return read_densities(path)["likelihood"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """60 steps of a density that is right: small errors, all mass inside, uniform ranks."""
    path = write_cache(tmp_path_factory.mktemp("trust") / "episode_000.h5", steps=60, mixture=ONE)

    def change(file):
        file["checks/likelihood/error"][:] = np.linspace(0.02, 0.08, 60)
        file["checks/likelihood/own_rank"][:] = np.random.default_rng(0).random((60, 2))

    rewrite(path, change)
    return path


@pytest.fixture
def path(sound, tmp_path):
    copy = tmp_path / "episode_000.h5"
    copy.write_bytes(sound.read_bytes())
    return copy


def test_a_sound_density_is_told_without_a_warning(path):
    found = read_densities(path)
    assert list(found) == ["likelihood"]  # distance is no density
    told = found["likelihood"]
    assert told["density"] == "executed"
    assert told["error"] == {"median": pytest.approx(0.05), "largest": pytest.approx(0.08), "steps": 0}
    assert told["inside"]["least"] > 0.99
    assert told["calibration"]["mean_rank"]["value"] == pytest.approx(0.5, abs=0.05)
    assert told["warnings"] == []


def test_large_errors_are_counted_and_the_warning_says_what_to_do(path):
    error = np.full(60, 0.05)
    error[10:13] = 0.2
    (warning,) = store(path, "error", error)["warnings"]
    assert warning == "likelihood: the estimated error is above 0.1 on 3 of 60 steps; its settings may lower it"
    for samples, remedy in ((256, "--quality reference"), (2048, "more --samples")):
        rewrite(
            path,
            lambda file, n=samples: file["scores/likelihood"].attrs.__setitem__("parameters", f'{{"samples": {n}}}'),
        )
        (warning,) = read_densities(path)["likelihood"]["warnings"]
        assert warning.endswith(f"3 of 60 steps; compute them with {remedy}")


def test_mass_beyond_the_grid_is_told(path):
    inside = np.ones(60)
    inside[:2] = 0.55, 0.9
    (warning,) = store(path, "inside", inside)["warnings"]
    assert "less than 95% of the probability is inside the grid on 2 of 60 steps (55% at least)" in warning


def test_actions_that_contradict_the_density_are_told_if_it_is_said_to_be_theirs(path):
    ranks = 0.8 * np.random.default_rng(1).random((60, 2))
    found = store(path, "own_rank", ranks)
    (warning,) = found["warnings"]
    assert "the policy's own actions contradict the density, which is too wide (mean rank 0.4" in warning
    rewrite(path, lambda file: file["scores/likelihood"].attrs.__setitem__("density", "model"))
    found = read_densities(path)["likelihood"]
    assert found["warnings"] == []
    assert found["calibration"]["verdict"] == "too wide"


def test_of_old_caches_the_mass_is_measured(tmp_path):
    # A Gaussian of 30 px, one deviation from the left edge: Φ(1) of it is on the grid.
    path = write_cache(tmp_path / "episode_000.h5", steps=2, resolution=64, expert=np.array([30.0, 256.0]))
    told = read_densities(path)["likelihood"]
    assert told["inside"]["least"] == pytest.approx(0.841, abs=0.002)
    assert "calibration" not in told
    with open_cache(path) as cache:
        assert density_name(cache, "likelihood") == "action"
