"""Score a grid of PushT actions under a Diffusion Policy, once, into a cache that dlrender draws.

The names below are the public ones. Each is imported when it is first used, so `import dlscore` costs nothing.
"""

from typing import TYPE_CHECKING

from dlscore.common.lazy import attach

if TYPE_CHECKING:
    from dlscore.cache import CacheError, EpisodeCache, open_cache
    from dlscore.common.errors import UserError
    from dlscore.compute.episode import compute_episode
    from dlscore.compute.outcome import Outcome
    from dlscore.compute.run import Run
    from dlscore.compute.settings import Options, Settings
    from dlscore.episodes.dataset import Dataset, open_dataset
    from dlscore.episodes.episode import Episode
    from dlscore.grid import Grid
    from dlscore.policy.atoms import AtomsPolicy
    from dlscore.policy.base import Policy
    from dlscore.policy.denoiser import DenoiserPolicy
    from dlscore.policy.load import load_policy
    from dlscore.scores.base import Scorer, Scores
    from dlscore.scores.distance import Distance
    from dlscore.scores.likelihood import Likelihood
    from dlscore.scores.noise_prediction import NoisePrediction

__version__ = "0.1.0"

__all__ = [
    "AtomsPolicy",
    "CacheError",
    "Dataset",
    "DenoiserPolicy",
    "Distance",
    "Episode",
    "EpisodeCache",
    "Grid",
    "Likelihood",
    "NoisePrediction",
    "Options",
    "Outcome",
    "Policy",
    "Run",
    "Scorer",
    "Scores",
    "Settings",
    "UserError",
    "__version__",
    "compute_episode",
    "load_policy",
    "open_cache",
    "open_dataset",
]

__getattr__, __dir__ = attach(
    __name__,
    {
        "dlscore.cache": ("CacheError", "EpisodeCache", "open_cache"),
        "dlscore.common.errors": ("UserError",),
        "dlscore.compute.episode": ("compute_episode",),
        "dlscore.compute.outcome": ("Outcome",),
        "dlscore.compute.run": ("Run",),
        "dlscore.compute.settings": ("Options", "Settings"),
        "dlscore.episodes.dataset": ("Dataset", "open_dataset"),
        "dlscore.episodes.episode": ("Episode",),
        "dlscore.grid": ("Grid",),
        "dlscore.policy.atoms": ("AtomsPolicy",),
        "dlscore.policy.base": ("Policy",),
        "dlscore.policy.denoiser": ("DenoiserPolicy",),
        "dlscore.policy.load": ("load_policy",),
        "dlscore.scores.base": ("Scorer", "Scores"),
        "dlscore.scores.distance": ("Distance",),
        "dlscore.scores.likelihood": ("Likelihood",),
        "dlscore.scores.noise_prediction": ("NoisePrediction",),
    },
)
