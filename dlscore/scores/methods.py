"""The scoring methods by name. A new one is a class in a module of its own and one line in SCORERS.

Another distribution adds one through an entry point of the group `dlscore.scorers`, whose name is the method's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from dlscore.common.choices import check_choice
from dlscore.common.plugins import add_plugins
from dlscore.scores.base import Scorer, ScorerError, check_scorer
from dlscore.scores.distance import Distance
from dlscore.scores.likelihood import Likelihood, choose_quality
from dlscore.scores.noise_prediction import NoisePrediction

GROUP = "dlscore.scorers"
SCORERS: dict[str, type[Any]] = {scorer.name: scorer for scorer in (Likelihood, Distance, NoisePrediction)}


def known_scorers() -> dict[str, type[Any]]:
    """The built-in scorers and those of other distributions, by name. Raises ScorerError for one that cannot be used."""
    found = add_plugins(SCORERS, GROUP, object, ScorerError)
    for name, scorer in found.items():
        check_scorer(scorer)
        if scorer.name != name:
            raise ScorerError(
                f"scorer {scorer.__qualname__} has name '{scorer.name}', but its entry point is '{name}'; rename one"
            )
    return found


def make_scorers(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Scorer]:
    """The named scorers, each with its settings. Raises ScorerError for unknown names and values that are not allowed."""
    made: dict[str, Scorer] = {}
    known_classes = known_scorers()
    for method, settings in methods.items():
        check_choice("--scoring-method", method, known_classes, ScorerError)
        known = {each.name for each in fields(known_classes[method])}
        made[method] = known_classes[method](**{name: value for name, value in settings.items() if name in known})
        unknown = sorted(set(settings) - known)
        if unknown:
            raise ScorerError(f"method {method} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return made


def name_scorers(
    methods: Sequence[str], qualities: Sequence[str], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Scorer]:
    """Scorers by display name: `likelihood` once for each quality, the others once, with `settings`."""
    named: dict[str, Scorer] = {}
    for method, scorer in make_scorers({method: settings.get(method, {}) for method in methods}).items():
        if method == Likelihood.name:
            named |= {f"{method}, {quality}": Likelihood(**choose_quality(quality)) for quality in qualities}
        else:
            named[method] = scorer
    return named
