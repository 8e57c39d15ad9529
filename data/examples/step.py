"""One step: the environment and the heatmap, with the regions that hold 50, 80 and 95 % of the probability over both."""

import dlrender
import dlscore

with dlscore.open_cache("data/cache/episode_000.h5") as cache:
    axes = dlrender.plot_step(
        cache,
        42,
        environment=True,
        colormap="inferno",
        norm="frame",
        overlays=("world", "contours", "arrow", "prediction", "expert"),
        overlay={"contours": {"panel": "both"}},
    )
    axes.figure.savefig("data/examples/gallery/step.png", dpi=100)
