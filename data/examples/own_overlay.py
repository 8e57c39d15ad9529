"""An overlay of your own: the ellipse of two standard deviations of the actions that the policy's sampler drew."""

from dataclasses import dataclass

import numpy as np
from matplotlib.patches import Ellipse

import dlrender
import dlscore


@dataclass(frozen=True, kw_only=True)
class Spread(dlrender.Overlay):
    color: str = "white"
    linewidth: float = 2.0

    def draw(self, axes, view):
        drawn = view.cache.predicted_chunks[view.step, :, view.cache.current]  # (M, 2) px
        variances, vectors = np.linalg.eigh(np.cov(drawn.T))
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        height, width = 4 * np.sqrt(np.maximum(variances, 0))
        looks = {"fill": False, "color": self.color, "linewidth": self.linewidth}
        return [Ellipse(drawn.mean(axis=0), width, height, angle=angle, **looks)]


style = dlrender.load_style("dark").with_overlay("spread", Spread(color="cyan"))
with dlscore.open_cache("data/cache/episode_000.h5") as cache:
    axes = dlrender.plot_step(cache, 3, style=style, overlays=("world", "contours", "cloud", "expert", "spread"))
    x, y = cache.predicted_action[3]
    axes.set(xlim=(x - 80, x + 80), ylim=(y + 80, y - 80))
    axes.figure.savefig("data/examples/gallery/own_overlay.png", dpi=100)
