"""Draw what policies of several families make of the same observations: caches of one episode, a row each, steps as columns."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import dlrender
import dlscore

WORLD = 512  # px


def around(cache: dlscore.EpisodeCache, step: int, side: float) -> str:
    """A square window "left,top,side" [px] with the agent in its middle, moved into the world."""
    left, top = np.clip(cache.state[step // cache.every][:2] - side / 2, 0, WORLD - side)
    return f"{left:.0f},{top:.0f},{side:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "caches", nargs="+", metavar="NAME=CACHE", help="of the same episode, each under another policy"
    )
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    parser.add_argument("--side", type=float, default=170, help="of the windows [px]")
    parser.add_argument("--output", type=Path, default=Path("data/examples/gallery/families.png"))
    options = parser.parse_args()

    rows, columns = len(options.caches), len(options.steps)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.1 * columns, 2.1 * rows + 0.2), layout="constrained", squeeze=False
    )
    for row, entry in zip(axes, options.caches, strict=True):
        name, _, path = entry.partition("=")
        with dlscore.open_cache(path) as cache:
            for ax, step in zip(row, options.steps, strict=True):
                dlrender.plot_step(
                    cache, step, ax, style="paper", method="likelihood", window=around(cache, step, options.side),
                    overlays=("goal", "block", "agent", "regions", "expert"), range_nats=6,
                )  # fmt: skip
                ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
        row[0].set_ylabel(name, fontsize=10)
    for ax, step in zip(axes[0], options.steps, strict=True):
        ax.set_title(f"step {step}", fontsize=10)
    figure.savefig(options.output, dpi=90)


if __name__ == "__main__":
    main()
