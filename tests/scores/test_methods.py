"""Scoring methods by name: the built-in ones, and those that another distribution or a notebook brings along."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest
from support.runs import ALL, flat

from dlscore import Run, Scores, Settings, compute_episode, open_cache
from dlscore.common import plugins
from dlscore.scores.base import ScorerError
from dlscore.scores.methods import SCORERS, known_scorers, make_scorers


@dataclass(frozen=True)
class Nearness:
    """exp(-distance to the predicted action / width)."""

    width: float = 50.0

    name: ClassVar[str] = "nearness"
    kind: ClassVar[str] = "score"
    units: ClassVar[str] = "1"
    definition: ClassVar[str] = "exp(-distance to the predicted action / width)"
    checks: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1

    def evaluations(self, policy, grid) -> int:
        return 0

    def score(self, policy, conditioning, chunks, grid, seed) -> Scores:
        away = grid.actions - chunks[:, 0, policy.current][:, None, None]
        return Scores(np.exp(-np.linalg.norm(away, axis=-1) / self.width))


class Flat(Nearness):
    """A scorer that gives one step's scores for all."""

    def score(self, policy, conditioning, chunks, grid, seed) -> Scores:
        return Scores(super().score(policy, conditioning, chunks, grid, seed).values[0])


@pytest.fixture
def installed(monkeypatch):
    """installed(name=…, value=…): as if a distribution had this entry point."""

    def install(name: str, value: str = f"{__name__}:Nearness") -> None:
        entry = EntryPoint(name, value, "dlscore.scorers")
        monkeypatch.setattr(plugins, "entry_points", lambda group, **_: [entry] if group == "dlscore.scorers" else [])
        plugins.forget_plugins()

    yield install
    plugins.forget_plugins()


def test_a_scorer_of_a_notebook_is_handed_over_as_it_is(policy, dataset, tmp_path):
    run = Run(policy, dataset, Settings(scorers=[Nearness(width=20.0)], resolution=8, max_steps=3, chunks=1))
    with open_cache(compute_episode(run, 0, tmp_path / "episode_000.h5").path) as cache:
        away = np.linalg.norm(cache.grid.actions - cache.predicted_action[2], axis=-1)
        np.testing.assert_allclose(cache.score("nearness", 2), np.exp(-away / 20), rtol=1e-5)
        assert cache.score_attrs("nearness")["parameters"] == {"width": 20.0, "version": 1}
        assert not cache.is_density("nearness")


def test_a_scorer_of_another_distribution_is_a_scoring_method(installed, dlscore, quick_options):
    installed("nearness")
    assert list(known_scorers()) == [*SCORERS, "nearness"]
    code, _, err = dlscore("compute", *flat(quick_options | {"scoring-method": "distance,nearness", "max-steps": 2}))
    assert code == 0, err
    with open_cache(quick_options["output-dir"] / "episode_000.h5") as cache:
        assert cache.methods == ("distance", "nearness")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("other", f"{__name__}:Nearness", "has name 'nearness', but its entry point is 'other'"),
        ("distance", f"{__name__}:Nearness", "has the name of a built-in"),
        ("nearness", "nowhere.at_all:Nearness", "cannot be imported"),
        ("nearness", f"{__name__}:np", "is not a class"),
        ("nearness", "pathlib:Path", "scorer Path lacks kind, units, definition, checks, version, evaluations, score"),
    ],
)
def test_a_scorer_of_another_distribution_that_cannot_be_used_is_named(installed, name, value, words):
    installed(name, value)
    with pytest.raises(ScorerError, match=words):
        make_scorers({"distance": {}})


def test_scores_of_the_wrong_shape_are_refused(policy, dataset, tmp_path):
    run = Run(policy, dataset, Settings(scorers=[Flat()], resolution=8, max_steps=3, chunks=1))
    with pytest.raises(ScorerError, match=r"returned scores of shape \(8, 8\) .* must return \(3, 8, 8\)"):
        compute_episode(run, 0, tmp_path / "episode_000.h5")


def test_a_name_that_would_break_a_path_is_refused():
    with pytest.raises(ScorerError, match="use lower-case letters, digits and _"):
        Settings(scorers=[type("Odd", (Nearness,), {"name": "../odd"})()])


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(ScorerError, match="invalid value 'likelyhood' for --scoring-method; did you mean likelihood"):
        make_scorers({"likelyhood": {}})
    assert [scorer.name for scorer in ALL.scorers] == ["likelihood", "distance", "noise_pred"]
