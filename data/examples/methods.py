"""Three methods side by side, in a matplotlib figure of your own."""

import matplotlib.pyplot as plt

import dlrender
import dlscore

figure, axes = plt.subplots(1, 3, figsize=(10.5, 4.2), layout="constrained")
with dlscore.open_cache("data/cache/episode_000.h5") as cache:
    for ax, method in zip(axes, ("likelihood", "noise_pred", "distance"), strict=True):
        dlrender.plot_step(cache, 42, ax, method=method, colormap="magma", overlays=("world", "contours", "expert"))
        ax.label_outer()
        units = cache.score_attrs(method)["units"].replace("^2", "²")
        ax.set_title(f"{method} [{units}]")
figure.savefig("data/examples/gallery/methods.png", dpi=90)
