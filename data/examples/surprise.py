"""How much the policy likes the expert's action, step by step. numpy and matplotlib only, from the numbers of the cache."""

import matplotlib.pyplot as plt
import numpy as np

import dlscore

with dlscore.open_cache("data/cache/episode_000.h5") as cache:
    scores = np.stack([cache.score("likelihood", step) for step in range(cache.steps)])  # (T, N, N) nats per px²
    cells = (cache.expert_action // cache.grid.cell).astype(int).clip(0, cache.grid.resolution - 1)
    expert = scores[np.arange(cache.steps), cells[:, 1], cells[:, 0]]
    likelier = scores > expert[:, None, None]
    mass = (np.exp(scores) * likelier).sum(axis=(1, 2)) * cache.grid.cell_area

    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True, layout="constrained")
    above.plot(cache.time, expert - np.log(1 / 512**2), color="crimson")
    above.axhline(0, color="gray", linestyle="--", linewidth=1)
    above.set_ylabel("expert's action\n[nats above chance]")
    below.fill_between(cache.time, mass, step="mid", alpha=0.4)
    below.set(ylabel="mass of likelier\nactions", xlabel="time [s]", ylim=(0, 1))
figure.savefig("data/examples/gallery/surprise.png", dpi=90)
