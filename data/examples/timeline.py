"""An episode over time: where the policy would go, how undecided it is, how surprised by what was done."""

from dlrender.answers.timeline import plot_timeline

figure = plot_timeline("data/cache/episode_000.h5")
figure.savefig("data/examples/gallery/timeline.png", dpi=110)
