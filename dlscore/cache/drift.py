"""The drift of a replay from its record: its parts and units, its limits, and the messages about it.

`episodes.replay` measures it; the cache stores one column for each part that the record has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dlscore.common.arrays import Array

# The parts that a record may have, with their units. Files of schema 1.0 and 1.1 hold the first three.
DRIFT_UNITS = {"agent_px": "px", "block_px": "px", "block_rad": "rad", "picture": "1/255"}
DRIFT_LIMIT = 5.0  # px; beyond it the replay no longer shows the recorded episode
BLOCK_REACH = 75.0  # px that the block's edge moves per rad, about: rotation counts as displacement of the edge
PICTURE_DRIFT_LIMIT = 2.5  # mean difference [1/255]; AV1 in motion reaches 2.0 on its own


def stored_parts(attrs: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the columns of a file's `drift`, by the attributes of that."""
    return tuple(attrs.get("parts", list(DRIFT_UNITS)[:3]))


def largest_drift(parts: Iterable[str], drift: Array) -> dict[str, float]:
    """The largest value of each part over the rows of `drift` (K, parts); {} without rows."""
    if not len(drift):
        return {}
    return {part: float(value) for part, value in zip(parts, np.max(drift, axis=0), strict=True)}


def drift_px(drift: Mapping[str, float]) -> float:
    """The largest distance [px] between replay and record among the parts that are known."""
    return max(drift["agent_px"], drift.get("block_px", 0.0), drift.get("block_rad", 0.0) * BLOCK_REACH)


def over_limit(drift: Mapping[str, float]) -> str:
    """The drift that exceeds its limit, such as `16.7 px` or `3.1/255`, or ""."""
    if (px := drift_px(drift)) > DRIFT_LIMIT:
        return f"{px:.1f} px"
    picture = drift.get("picture", 0.0)
    return f"{picture:.1f}/255" if picture > PICTURE_DRIFT_LIMIT else ""


def drift_label(drift: Mapping[str, float]) -> str:
    """A frame's label where the replay is off its record, or ""."""
    beyond = over_limit(drift)
    return f"the replay is {beyond} off the record" if beyond else ""


def drift_warning(episode: int, drift: Mapping[str, float]) -> str:
    """What to tell the user about an episode's replay, or ""."""
    remedy = "--replay states sets the recorded state at each step"
    if (px := drift_px(drift)) > DRIFT_LIMIT:
        return f"episode {episode}: the replay drifts {px:.1f} px from the record (limit {DRIFT_LIMIT:g}); {remedy}"
    if drift.get("picture", 0.0) > PICTURE_DRIFT_LIMIT:
        contradiction = "the record's states and pictures contradict each other: try another --block-pose"
        return (
            f"episode {episode}: the replayed picture differs by {drift['picture']:.1f}/255 from the recorded one (limit "
            f"{PICTURE_DRIFT_LIMIT:g}); {contradiction if 'block_px' in drift else 'the block is elsewhere: ' + remedy}"
        )
    return ""


def format_drift(drift: Mapping[str, float]) -> str:
    """`agent 0.1 px, block 0.2 px, …`."""
    return ", ".join(
        f"{part.rpartition('_')[0] or part} {value:.2g} {DRIFT_UNITS[part]}" for part, value in drift.items()
    )
