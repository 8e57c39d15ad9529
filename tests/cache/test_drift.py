"""What users are told of a replay that leaves its record."""


def test_a_record_that_contradicts_itself_is_told():
    from dlscore.cache.drift import drift_warning

    assert drift_warning(0, {"agent_px": 0.0, "block_px": 0.0, "block_rad": 0.0, "picture": 2.0}) == ""
    told = drift_warning(0, {"agent_px": 0.0, "block_px": 0.0, "block_rad": 0.0, "picture": 2.7})
    assert "states and pictures contradict each other" in told
    assert "drifts 7.5 px" in drift_warning(0, {"agent_px": 0.0, "block_px": 0.0, "block_rad": 0.1})
