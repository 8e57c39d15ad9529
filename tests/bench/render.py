"""Frames a second of dlrender (make bench-render): ours, a new matplotlib figure a frame, and the encoder fed with ready frames.

One measurement, interleaved, medians. The combined video is 1120 × 480 with contours, trace, arrow and markers. The naive
program is what people write first: imshow, colorbar, contour, legend, savefig into an array, imageio.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from dlrender import panels
from dlrender.heatmap import make_norm
from dlrender.render import Style, render_episode
from dlrender.video import video
from dlscore.cache import read_episode

sys.path.insert(0, str(Path(__file__).parents[1]))
from synthetic import write_cache

STYLE = Style(overlays=("contours", "trace", "arrow", "prediction", "expert"))
LONG = """
import sys
from pathlib import Path
from dlrender.render import Style, render_episode
style = Style(overlays=("contours", "trace", "arrow", "prediction", "expert"))
render_episode(Path(sys.argv[1]), style, Path(sys.argv[2]), force=True)
# Of this program alone: ru_maxrss would start from the peak of the one that started it.
print(next(int(line.split()[1]) / 1000 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--naive-frames", type=int, default=30, help="of the naive program, which is slow; scaled")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--long", type=int, default=10_000, help="steps of the cache for the peak of memory; 0 for none"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), options)
        if options.long:
            report["peak_mb"] = memory(Path(folder), options.long)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(folder: Path, options: argparse.Namespace) -> dict:
    cache = moving_cache(folder / "episode_000.h5", options.frames)
    with read_episode(cache) as episode:
        world, panel = panels_of(episode)
        ready = [panels.combined_frame(world.draw(k), panel.draw(k)) for k in range(options.frames)]
    programs = {
        "combined": lambda: combined(cache, folder, options.frames),
        "encoder alone": lambda: encode(ready, folder),
        "all three videos": lambda: render_episode(cache, STYLE, folder / "all", force=True),
        "naive": lambda: naive(cache, folder, options.naive_frames),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(options.repeats):
        for name, program in programs.items():
            began = time.perf_counter()
            program()
            seconds[name].append(
                (time.perf_counter() - began) / (options.naive_frames if name == "naive" else options.frames)
            )
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, value in median.items():
        print(f"{name:18s}{1 / value:8.1f} frames/s")
    ratios = {
        "combined / naive": median["naive"] / median["combined"],
        "combined / encoder alone": median["encoder alone"] / median["combined"],
        "time of all three / combined": median["all three videos"] / median["combined"],
    }
    for name, value in ratios.items():
        print(f"{name}: {value:.2f}")
    return {"frames_per_s": {name: 1 / value for name, value in median.items()}, "ratios": ratios, "seconds": seconds}


def moving_cache(path: Path, steps: int) -> Path:
    """A cache whose agent and density go round in circles of 25 steps, and its prediction about them."""
    turn = 2 * np.pi * np.arange(steps) / 25
    expert = 256 + 150 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    predicted = expert + 40 * np.stack([np.sin(3 * turn), np.cos(2 * turn)], axis=1)
    return write_cache(path, steps=steps, resolution=50, expert=expert, predicted=predicted, methods=("likelihood",))


def panels_of(episode) -> tuple[panels.EnvironmentPanel, panels.HeatmapPanel]:
    norm = make_norm("episode", [episode], "likelihood", STYLE.range_nats)
    return panels.EnvironmentPanel(episode, 480), panels.HeatmapPanel(
        episode, "likelihood", colormap=STYLE.colormap, norm=norm, overlays=STYLE.make_overlays(), height=480
    )


def combined(cache: Path, folder: Path, frames: int) -> None:
    with read_episode(cache) as episode:
        world, panel = panels_of(episode)
        with video(folder / "combined.mp4", 1120, 480, 10, {}) as writer:
            for k in range(frames):
                writer.write(world.draw(k), panel.draw(k))


def encode(ready: list[np.ndarray], folder: Path) -> None:
    with video(folder / "encoded.mp4", 1120, 480, 10, {}) as writer:
        for frame in ready:
            writer.write(frame)


def naive(cache: Path, folder: Path, frames: int) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    with read_episode(cache) as episode, imageio.imopen(folder / "naive.mp4", "w", plugin="pyav") as writer:
        writer.init_video_stream("libx264", fps=10)
        for k in range(frames):
            figure, (left, right) = plt.subplots(1, 2, figsize=(11.2, 4.8), dpi=100)
            left.imshow(episode.frame(k))
            left.set_axis_off()
            scores = episode.score("likelihood", k)
            shown = right.imshow(scores, extent=(0, 512, 512, 0), vmin=scores.max() - 10, cmap="viridis")
            figure.colorbar(shown)
            right.contour(
                episode.grid.centres, episode.grid.centres, scores, levels=scores.max() - np.array([3.0, 1.6, 0.7])
            )
            past = episode.expert_action[max(0, k - 20) : k + 1]
            right.plot(*past.T, "r-")
            right.plot(*episode.expert_action[k], "rX", label="expert")
            right.plot(*episode.predicted_action[k], "w*", label="policy")
            right.annotate("", episode.expert_action[k], episode.predicted_action[k], arrowprops={"arrowstyle": "->"})
            right.legend()
            figure.canvas.draw()
            writer.write_frame(np.asarray(figure.canvas.buffer_rgba())[..., :3])
            plt.close(figure)


def memory(folder: Path, steps: int) -> float:
    """Peak resident memory [MB] of a process that renders a long cache (Linux)."""
    cache = moving_cache(folder / "long.h5", steps)
    command = [sys.executable, "-c", LONG, str(cache), str(folder / "long")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak = float(done.stdout)
    print(f"peak of memory over {steps} steps: {peak:.0f} MB")
    return peak


if __name__ == "__main__":
    main()
