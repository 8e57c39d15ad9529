"""How far a replay may be from its record before a user is told."""

from __future__ import annotations

from collections.abc import Mapping

DRIFT_LIMIT = 5.0  # px; beyond it the picture is no longer the recorded episode, and the run says so
BLOCK_REACH = 75.0  # px that the block's edge moves with a rad, about: so a turn counts as a distance
# The same for the record's pictures, in mean difference [1/255]: AV1 in motion reaches 2.0 on its own.
PICTURE_DRIFT_LIMIT = 2.5


def drift_px(drift: Mapping[str, float]) -> float:
    """The largest distance [px] between replay and record, of the parts of a cache's `drift` that are known."""
    return max(drift["agent_px"], drift.get("block_px", 0.0), drift.get("block_rad", 0.0) * BLOCK_REACH)


def over_limit(drift: Mapping[str, float]) -> str:
    """What is over its limit, such as `16.7 px` or `3.1/255`; "" where nothing is."""
    if (px := drift_px(drift)) > DRIFT_LIMIT:
        return f"{px:.1f} px"
    picture = drift.get("picture", 0.0)
    return f"{picture:.1f}/255" if picture > PICTURE_DRIFT_LIMIT else ""


def drift_warning(episode: int, drift: Mapping[str, float]) -> str:
    """What a user should know about the replay, or ""."""
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
