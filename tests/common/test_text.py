"""Numbers and errors as users read them."""

import errno

import pytest

from dlscore.common.text import format_bytes, format_seconds, reason_of


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.0 MB"), (410e6, "410.0 MB"), (999.96e6, "1000.0 MB"), (2.6e9, "2.6 GB")]
)
def test_bytes(size, text):
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (59.94, "59.9 s"), (250, "4 min 10 s"), (3599.6, "1 h 0 min"), (12000, "3 h 20 min")],
)
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "whatever the library says"), "No space left on device"),
        (OSError("no number"), "no number"),
        (ValueError("two\n  lines"), "two lines"),
        (KeyError(), "KeyError"),
    ],
)
def test_an_exceptions_own_words_in_one_line(error, text):
    assert reason_of(error) == text
