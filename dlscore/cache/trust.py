"""How far a method's density can be trusted, from what its cache holds: its error, the mass inside, the policy's own actions."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlscore.cache.reader import EpisodeCache
from dlscore.density.calibration import calibrate

__all__ = ["LARGE_ERROR", "LEAST_INSIDE", "density_name", "density_warnings", "summarize_density"]

# Total variation, above which a step is told: on known densities 0.1 % false alarms, and 85 % of what is above 0.15.
LARGE_ERROR = 0.1
LEAST_INSIDE = 0.95  # probability inside the grid, below which a step is told
BEST_SAMPLES = 2048  # of --quality reference


def density_name(cache: EpisodeCache, method: str) -> str:
    """Whose density a method's scores are: "executed action", "model's action", or "action" where the file does not say."""
    stored = cache.score_attrs(method).get("density")
    return {"executed": "executed action", "model": "model's action"}.get(str(stored), "action")


def summarize_density(cache: EpisodeCache, method: str) -> dict[str, Any]:
    """Of a method that is a density: error, mass inside, calibration by the policy's own chunks, and warnings.

    {} for other methods, and before a step is done. `steps` counts those whose error is large, or with little mass inside.
    """
    if not cache.is_density(method) or not cache.done.any():
        return {}
    found: dict[str, Any] = {"density": cache.score_attrs(method).get("density")}
    error = cache.checks(method).get("error")
    if error is not None:
        error = error[cache.done]
        found["error"] = {"median": float(np.median(error)), "largest": float(error.max()),
                          "steps": int((error > LARGE_ERROR).sum())}  # fmt: skip
    inside = cache.inside(method)[cache.done]
    found["inside"] = {"least": float(inside.min()), "median": float(np.median(inside)),
                       "steps": int((inside < LEAST_INSIDE).sum())}  # fmt: skip
    ranks = cache.own_ranks(method)
    if ranks is not None:
        found["calibration"] = calibrate(ranks[cache.done]).as_dict()
    found["warnings"] = density_warnings(cache, method, found)
    return found


def density_warnings(cache: EpisodeCache, method: str, found: dict[str, Any]) -> list[str]:
    """What a user should know of a density, and do, a line each; mostly none. `found` is what `summarize_density` measured."""
    steps, warnings = int(cache.done.sum()), []
    if found.get("error", {}).get("steps"):
        warnings.append(
            f"{method}: the estimated error is above {LARGE_ERROR:g} on {found['error']['steps']} of {steps} steps; "
            f"{_remedy(cache.score_attrs(method)['parameters'].get('samples'))}"
        )
    if found["inside"]["steps"]:
        warnings.append(
            f"{method}: less than {LEAST_INSIDE:.0%} of the probability is inside the grid on {found['inside']['steps']} of "
            f"{steps} steps ({found['inside']['least']:.0%} at least); the policy places actions beyond the world: train it "
            "longer, or check its statistics"
        )
    calibration = found.get("calibration")
    # Only the executed density claims to be that of the policy's own chunks.
    if calibration and calibration["verdict"] and found["density"] == "executed":
        rank, interval = calibration["mean_rank"]["value"], calibration["mean_rank"]["interval"]
        within = "" if interval is None else ", 95 % interval {:.2f} to {:.2f}".format(*interval)
        warnings.append(
            f"{method}: the policy's own actions contradict the density, which is {calibration['verdict']} (mean rank "
            f"{rank:.2f}{within}, not 0.50); score with a higher --quality; if that does not help, take --sampler policy, which "
            "needs no density of the network, and report it unless the policy is hardly trained"
        )
    return warnings


def _remedy(samples: Any) -> str:
    if samples is None:  # of another package's scorer
        return "its settings may lower it"
    return f"compute them with {'--quality reference' if samples < BEST_SAMPLES else 'more --samples'}"
