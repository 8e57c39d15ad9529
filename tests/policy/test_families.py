"""Families of policies by type: those of other distributions, and what is refused by name."""

import pickle
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from support.compass import save_compass
from support.runs import flat

from dlscore import open_cache
from dlscore.common import plugins
from dlscore.policy.errors import PolicyError
from dlscore.policy.families import FAMILIES, GROUP, choose_family, known_families


@pytest.fixture
def installed(monkeypatch):
    """installed(name, value): as if a distribution had this entry point."""

    def install(name: str, value: str = "support.compass:Compass") -> None:
        entry = EntryPoint(name, value, GROUP)
        monkeypatch.setattr(plugins, "entry_points", lambda group, **_: [entry] if group == GROUP else [])
        plugins.forget_plugins()

    yield install
    plugins.forget_plugins()


def test_a_family_of_another_distribution_is_scored_by_its_type(installed, dlscore, quick_options, tmp_path):
    installed("compass")
    assert list(known_families()) == [*FAMILIES, "compass"]
    folder = save_compass(tmp_path / "compass")
    options = {
        "policy-path": folder,
        "scoring-method": "likelihood,distance",
        "max-steps": 10,
        "action-resolution": 50,
        "chunks": 64,
    }
    code, _, err = dlscore("compute", *flat(quick_options | options))
    assert code == 0, err
    with open_cache(quick_options["output-dir"] / "episode_000.h5") as cache:
        mixture, state = cache.mixture("likelihood", 1), cache.state[1, :2]
        np.testing.assert_allclose(mixture.mean[0], state + [0, -40], atol=0.01)
        np.testing.assert_allclose(mixture.weight, [0.4, 0.2, 0.2, 0.2], rtol=1e-6)
        north = -np.log(2 * np.pi * 6.4**2) + np.log(0.4)
        np.testing.assert_allclose(mixture.log_density(state[None] + [0, -40]), north, atol=1e-3)
        assert "Gaussian of 6.4 px" in cache.score_attrs("likelihood")["definition"]
        # The policy's own actions lie in its density as draws of it do, though each is an atom.
        assert abs(cache.own_ranks("likelihood").mean() - 0.5) < 0.05
        assert "four winds" in cache.attrs["predicted_action_is"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "other",
            "support.compass:Compass",
            "family 'compass' and kind 'atoms'; its family is the name of its entry point, 'other'",
        ),
        ("diffusion", "support.compass:Compass", "has the name of a built-in"),
        ("compass", "support.compass:save_compass", "is not a subclass of dlscore.policy.base.Policy"),
    ],
)
def test_a_family_that_cannot_be_used_is_named(installed, name, value, words):
    installed(name, value)
    with pytest.raises(PolicyError, match=words):
        known_families()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("tdmpc", "is of type 'tdmpc', which dlscore cannot score: it plans by sampling .*; choose from diffusion, "),
        ("evo1", "it starts from uniform noise"),
        ("gaussian_actor", "trained by reinforcement"),
        ("smolvla", "its flow is known .* loading was not compared"),
        ("difusion", "did you mean diffusion"),
        (None, "is of type None"),
    ],
)
def test_other_types_are_refused_by_name(kind, words):
    with pytest.raises(PolicyError, match=words):
        choose_family(kind, "mine")


class Touch:
    """What a pickle may do: touch a file when it is opened."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_a_pickle_is_never_opened(dlscore, quick_options, tmp_path):
    marker, file = tmp_path / "marker", tmp_path / "latest.ckpt"
    file.write_bytes(pickle.dumps(Touch(marker)))
    code, _, err = dlscore("compute", *flat(quick_options | {"policy-path": file}))
    assert code == 1
    assert "is a pickle" in err
    assert not marker.exists()
    assert not list(quick_options["output-dir"].glob("*"))


def test_a_family_s_own_fields_are_needed(installed, tmp_path, dlscore, quick_options):
    installed("compass")
    folder = save_compass(tmp_path / "compass", type="compass")
    (folder / "config.json").write_text((folder / "config.json").read_text().replace('"reach": 40, ', ""))
    code, _, err = dlscore("compute", *flat(quick_options | {"policy-path": folder}))
    assert code == 1
    assert "lacks reach" in err
    assert not list(quick_options["output-dir"].glob("*"))


def test_a_method_that_the_kind_has_not_is_refused_in_one_line(installed, tmp_path, dlscore, quick_options):
    installed("compass")
    options = {"policy-path": save_compass(tmp_path / "compass"), "scoring-method": "noise_pred", "episodes": "all"}
    code, out, err = dlscore("compute", *flat(quick_options | options))
    assert code == 1
    assert "needs a network that removes noise; policy" in err
    assert len((out + err).splitlines()) == 1
    assert not list(quick_options["output-dir"].glob("*"))
