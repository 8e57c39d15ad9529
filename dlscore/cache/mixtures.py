"""A method's density in the file: mixtures to arrays and back.

What is stored is what `dlscore.density.rounding` leaves of a mixture, so nothing is lost between the one that was scored and
the one that is read. A covariance takes three numbers: xx, xy, yy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlscore.cache.errors import CacheError
from dlscore.cache.schema import MIXTURE
from dlscore.common.arrays import Array
from dlscore.density.mixture import DensityError, Mixture

__all__ = ["PARTS", "mixture_arrays", "mixture_of"]

PARTS = tuple(field.name.rpartition("/")[2] for field in MIXTURE)
ENTRIES = ((0, 0, 1), (0, 1, 1))  # rows and columns of the covariance's entries


def mixture_arrays(method: str, mixtures: Sequence[Mixture]) -> dict[str, Array]:
    """The rows of the file for S mixtures, by field name: means (S, K, 2), covariances (S, K, 3), weights (S, K) …"""
    found = {
        "mean": np.stack([each.mean for each in mixtures]),
        "covariance": np.stack([each.covariance[:, *ENTRIES] for each in mixtures]),
        "weight": np.stack([each.weight for each in mixtures]),
        "base": np.stack([each.base for each in mixtures]),
        "log_norm": np.array([each.log_norm for each in mixtures]),
    }
    return {f"mixture/{method}/{part}": values for part, values in found.items()}


def mixture_of(parts: Mapping[str, Array], attrs: Mapping[str, Any], path: Path) -> Mixture:
    """The mixture of one step, from its row of each of PARTS and the attributes of its method; CacheError if it is none."""
    covariance = parts["covariance"].astype(np.float64)[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    try:
        box = None if attrs.get("box") is None else np.array(attrs["box"], dtype=float)
        return Mixture(parts["mean"], covariance, parts["weight"], parts["base"], box, float(parts["log_norm"]))
    except (DensityError, ValueError, TypeError) as error:
        raise CacheError(f"{path} is damaged ({error}); compute it again") from error
