"""What a shell offers after an option of `dlscore`: names that start with what was typed. Imports wait until it asks."""

from __future__ import annotations


def methods(incomplete: str) -> list[str]:
    """The scoring methods, also those of other packages; of a list with commas, the last."""
    from dlscore.scores.methods import known_scorers

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in known_scorers() if name.startswith(last)]


def qualities(incomplete: str) -> list[str]:
    """The qualities of likelihood."""
    from dlscore.scores.likelihood import QUALITIES

    return [name for name in QUALITIES if name.startswith(incomplete)]
