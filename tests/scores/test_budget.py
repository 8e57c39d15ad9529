"""Each change of bench-budget still fits what it changes."""

import importlib
from pathlib import Path

from dlscore.certify.certify import certify, choose_mixtures

BENCH = Path(__file__).parents[1] / "bench"


def test_each_change_scores_a_known_density(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    budget = importlib.import_module("budget")
    changed = [each for each in budget.VARIANTS if each[2]]
    assert changed
    for name, scorer, changes in changed:
        with budget.changed(changes):
            (found,) = certify(
                {name: scorer}, mixtures=choose_mixtures("one"), densities=("model",), seeds=(0,), resolution=20
            )
        assert found.tv < 0.1, name
