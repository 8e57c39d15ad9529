"""Caches of every earlier schema, as the versions of their time wrote them: they open, verify, grow and are drawn."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from dlscore.cache.errors import CacheError
from dlscore.cache.mixtures import mixture_arrays
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import FIELDS, VERSION
from dlscore.cache.verify import verify
from dlscore.cache.writer import CacheWriter
from dlscore.density.cells import log_cell_density
from dlscore.density.mixture import Mixture

OLD = ROOT / "tests" / "support" / "old_caches"
# (arrays, attributes) with checksums, and whether the file is sealed.
KEPT = {
    "1.0": (0, 0, False),
    "1.1": (0, 0, False),
    "1.2": (0, 0, False),
    "1.3": (15, 0, True),
    "1.4": (15, 93, True),
    "1.5": (24, 124, True),
}


def unpack(version: str, folder: Path) -> Path:
    path = folder / "episode_000.h5"
    path.write_bytes(gzip.decompress((OLD / f"schema_{version}.h5.gz").read_bytes()))
    return path


@pytest.fixture(params=KEPT)
def version(request) -> str:
    return request.param


@pytest.fixture
def old(version, tmp_path) -> Path:
    return unpack(version, tmp_path)


def test_there_is_one_of_every_schema():
    assert {field.since for field in FIELDS} - {VERSION} <= set(KEPT)
    assert {f"schema_{version}.h5.gz" for version in KEPT} == {file.name for file in OLD.glob("*.gz")}


def test_it_opens(old, version):
    with open_cache(old) as cache:
        assert cache.attrs["schema_version"] == version
        assert (cache.episode, cache.steps, cache.methods) == (0, 2, ("distance", "likelihood"))
        assert cache.grid.resolution == 4
        assert cache.current == 1
        assert cache.frame(1).shape == (512, 512, 3)
        assert cache.drift_parts == ("agent_px", "block_px", "block_rad")
        assert set(cache.largest_drift()) == set(cache.drift_parts)
        checks = {"1.0": set(), "1.5": {"error", "inside"}}
        assert set(cache.checks("likelihood")) == checks.get(version, {"sampling_error", "level_difference"})
        assert cache.recorded("likelihood") is None
        assert (cache.every, cache.action_label, cache.has("reward")) == (1, "expert", False)
        with pytest.raises(CacheError, match=r"has no 'reward': it is of schema 1.*, and the field came with 1.6"):
            cache.array("reward")


def test_it_holds_what_the_others_hold(old, tmp_path):
    # One policy, one data set. The network of schema 1.0 was LeRobot's own, which rounds otherwise.
    (tmp_path / "newest").mkdir()
    with open_cache(old) as cache, open_cache(unpack("1.4", tmp_path / "newest")) as newest:
        for name in ("time", "expert_action", "state"):
            np.testing.assert_array_equal(cache.array(name), newest.array(name))
        np.testing.assert_allclose(cache.predicted_chunks, newest.predicted_chunks, atol=1e-3)
        np.testing.assert_array_equal(cache.frame(1), newest.frame(1))
        np.testing.assert_allclose(cache.score("distance", 1), newest.score("distance", 1), atol=1e-3)
        ours, theirs = (dict(each.attrs["identity"], policy="") for each in (cache, newest))
        assert ours == theirs  # the policy's config.json has gained fields


def test_it_verifies(old, version):
    found = verify(old)
    arrays, attributes, sealed = KEPT[version]
    assert found["state"] == "finished"
    assert found["checksums"] == {"arrays": arrays, "attributes": attributes}
    assert found["sealed"] is sealed


def test_a_still_of_it_is_drawn(old, tmp_path, dlrender):
    code, _, err = dlrender("still", old, "--step", 1, "--with-environment", "-o", tmp_path / "still.png")
    assert code == 0, err
    with Image.open(tmp_path / "still.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_it_gains_a_method(old):
    attrs = {"kind": "score", "units": "1", "parameters": {}, "definition": "", "evaluations_per_step": 1}
    with open_cache(old) as cache:
        before = cache.score("likelihood", 1)
    writer = CacheWriter.extend(old, {"noise_pred": attrs})
    writer.write(slice(0, 2), {"scores/noise_pred": np.ones((2, 4, 4))})
    writer.finish()
    assert verify(old)["sealed"]
    with open_cache(old) as cache:
        assert cache.methods == ("distance", "likelihood", "noise_pred")
        np.testing.assert_array_equal(cache.score("likelihood", 1), before)


def test_it_gains_a_density(old, version):
    mixture = Mixture([[200.0, 300.0]], [np.diag([400.0, 900.0])], [1.0], [1.0])
    with open_cache(old) as cache:
        chunks, grid = cache.predicted_chunks, cache.grid
    attrs = {"kind": "log_density", "units": "nats / px^2", "parameters": {}, "definition": "", "evaluations_per_step": 1,
             "density": "executed", "components": 1, "denoised": 3, "distances": [1.0, 4.0],
             "checks": ["error", "log_error", "inside", "own_rank"]}  # fmt: skip
    writer = CacheWriter.extend(old, {"mixed": attrs})
    arrays = mixture_arrays("mixed", [mixture, mixture]) | {
        "scores/mixed": np.stack([log_cell_density(mixture, grid)] * 2),
        "mixture/mixed/denoised_chunks": np.repeat(chunks[:, :1], 3, axis=1),
        "checks/mixed/error": np.array([0.1, 0.2]),
        "checks/mixed/log_error": np.ones((2, 2)),
        "checks/mixed/inside": np.ones(2),
        "checks/mixed/own_rank": np.full(chunks.shape[:2], 0.5),
    }
    writer.write(slice(0, 2), arrays)
    writer.finish()
    assert verify(old)["sealed"]
    with open_cache(old) as cache:
        assert cache.attrs["schema_version"] == VERSION
        np.testing.assert_array_equal(cache.mixture("mixed", 1).mean, mixture.mean)
        assert cache.denoised_chunks("mixed", 0).shape == (3, *chunks.shape[2:])
        assert cache.has_mixture("likelihood") == (version == "1.5")
