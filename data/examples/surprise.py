"""How surprised the policy is by the expert's action, step by step, and where that lies among the policy's own. No torch."""

import matplotlib.pyplot as plt

from dlrender import step_table

table = step_table("data/cache/episode_000.h5", columns=["time", "gain", "rank"])

figure, (above, below) = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True, layout="constrained")
above.plot(table["time"], table["gain"], color="crimson")
above.axhline(0, color="gray", linestyle="--", linewidth=1)
above.set_ylabel("expert's action\n[nats above chance]")
below.fill_between(table["time"], table["rank"], step="mid", alpha=0.4)
below.set(ylabel="mass of likelier\nactions", xlabel="time [s]", ylim=(0, 1))
figure.savefig("data/examples/gallery/surprise.png", dpi=90)
