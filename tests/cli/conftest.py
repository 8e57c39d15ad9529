import pytest


@pytest.fixture
def options(quick_options) -> dict[str, object]:
    """Options of `dlscore compute` that make a cache of two steps."""
    return {**quick_options, "max-steps": 2}
