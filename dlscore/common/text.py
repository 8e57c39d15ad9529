"""Numbers and errors as users read them."""

from __future__ import annotations

import os


def format_bytes(size: float) -> str:
    """`410 MB`, `2.6 GB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def format_seconds(seconds: float) -> str:
    """`3 h 20 min`, `4 min 10 s` or `2.5 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def reason_of(error: BaseException) -> str:
    """An exception's message in one line: the system's own for an errno."""
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return " ".join(text.split()) or type(error).__name__
