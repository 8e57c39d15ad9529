"""The same step in the four styles that come with dlrender."""

from io import BytesIO

import matplotlib.pyplot as plt

import dlrender
import dlscore

figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
with dlscore.open_cache("data/cache/episode_000.h5") as cache:
    for ax, style in zip(axes.flat, ("default", "paper", "talk", "dark"), strict=True):
        picture = BytesIO()
        dlrender.plot_step(cache, 42, style=style).figure.savefig(picture, dpi=100)
        picture.seek(0)
        ax.imshow(plt.imread(picture))
        ax.set_title(style)
        ax.axis("off")
figure.savefig("data/examples/gallery/styles.png", dpi=90)
