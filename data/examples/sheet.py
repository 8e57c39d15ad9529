"""An episode on a sheet: the environment over the heatmap, one scale and one legend for all."""

import numpy as np

import dlrender
import dlscore

with dlscore.open_cache("data/cache/episode_000.h5") as cache:
    steps = np.linspace(0, cache.steps - 1, 6, dtype=int).tolist()
    figure = dlrender.plot_sheet(cache, steps, style="paper", overlays=("world", "contours", "trace", "expert"))
    figure.savefig("data/examples/gallery/sheet.png", dpi=90)
