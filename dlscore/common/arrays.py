"""The one name for a numpy array of any type and shape; docstrings say which."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
