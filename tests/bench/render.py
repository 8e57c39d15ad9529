"""Frames a second of dlrender (make bench-render): ours, a new matplotlib figure a frame, and the encoder fed with ready frames.

"combined" is drawn by as many processes as there are cores, "in one process" by one.

One measurement, interleaved; medians of the rates, and of the ratios within a round. The combined video is 986 × 480, of the
default style with contours: its window follows the density. The naive program is what people write first: imshow,
colorbar, contour, legend, savefig into an array, imageio.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `dlrender` does, before numpy

import av
import imageio.v3 as imageio
import numpy as np

from dlrender.drawing import can_fork
from dlrender.frames.encode import FORMATS, video
from dlrender.frames.frame import Frame, hstack
from dlrender.output import Output
from dlrender.scene import Scene
from dlrender.style.style import Style
from dlrender.videos import render_episode
from dlscore.cache.reader import open_cache

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests, for support
sys.path.insert(0, str(Path(__file__).parents[2]))  # before them the packages, whose names folders of tests have too
from support.synthetic import write_cache

STYLE = Style(overlays=("world", "contours", "trace", "arrow", "prediction", "expert", "counter", "scale"))
LONG = """
import resource
import sys
from pathlib import Path
from dlrender.output import Output
from dlrender.videos import render_episode
from dlrender.style.style import Style
style = Style(overlays=("world", "contours", "trace", "arrow", "prediction", "expert", "counter", "scale"))
render_episode(Path(sys.argv[1]), style, Output(folder=Path(sys.argv[2])))
# Of this program alone: ru_maxrss would start from the peak of the one that started it.
print(next(int(line.split()[1]) / 1000 for line in open("/proc/self/status") if line.startswith("VmHWM")))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)  # what it shares with this one counts too
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
            report["peak_mb"], report["peak_of_a_fork_mb"] = memory(Path(folder), options.long)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def measure(folder: Path, options: argparse.Namespace) -> dict:
    cache = moving_cache(folder / "episode_000.h5", options.frames)
    ready = ready_frames(cache)
    if not can_fork():
        print("nothing is forked here: all is drawn by one process")
    programs = {
        "combined": lambda: render_episode(
            cache, STYLE, Output(videos=("combined",), folder=folder / "one", force=True)
        ),
        "in one process": lambda: render_episode(
            cache, STYLE, Output(videos=("combined",), folder=folder / "alone", force=True, jobs=1)
        ),
        "encoder alone": lambda: encode(ready, folder),
        "encoder in a plain loop": lambda: encode_plainly(ready, folder),
        "all three videos": lambda: render_episode(cache, STYLE, Output(folder=folder / "all", force=True)),
        "naive": lambda: naive(cache, folder, options.naive_frames),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for k in range(options.repeats):
        for name in list(programs)[:: 1 if k % 2 else -1]:  # so that what comes first in a round is not always the same
            gc.collect()  # one program's garbage is not another's work
            began = time.perf_counter()
            programs[name]()
            frames = options.naive_frames if name == "naive" else options.frames
            seconds[name].append((time.perf_counter() - began) / frames)
    for name, values in seconds.items():
        print(f"{name:25s}{1 / np.median(values):8.1f} frames/s")

    def ratio(one: str, other: str) -> float:  # within a round, whose programs met the same machine
        return float(np.median(np.divide(seconds[one], seconds[other])))

    ratios = {
        "combined / naive": ratio("naive", "combined"),
        "combined / in one process": ratio("in one process", "combined"),
        "combined / encoder alone": ratio("encoder alone", "combined"),
        "combined / encoder in a plain loop": ratio("encoder in a plain loop", "combined"),
        "time of all three / combined": ratio("all three videos", "combined"),
    }
    for name, value in ratios.items():
        print(f"{name}: {value:.2f}")
    rates = {name: 1 / float(np.median(values)) for name, values in seconds.items()}
    return {"frames_per_s": rates, "ratios": ratios, "seconds": seconds}


def moving_cache(path: Path, steps: int) -> Path:
    """A cache whose agent and density go round in circles of 25 steps, and its prediction about them."""
    turn = 2 * np.pi * np.arange(steps) / 25
    expert = 256 + 150 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    predicted = expert + 40 * np.stack([np.sin(3 * turn), np.cos(2 * turn)], axis=1)
    return write_cache(path, steps=steps, resolution=50, expert=expert, predicted=predicted, methods=("likelihood",))


def ready_frames(cache: Path) -> list[np.ndarray]:
    """The combined video's frames (H, W, 4) uint8 RGBA, in memory."""
    with open_cache(cache) as episode, STYLE.active():
        scene = Scene(episode, ("likelihood",), STYLE, {})
        frames = [hstack(scene.render(step)["combined"]) for step in range(episode.steps)]
    return [np.dstack([frame, np.full(frame.shape[:2], 255, dtype=np.uint8)]) for frame in frames]


def encode_plainly(ready: list[np.ndarray], folder: Path) -> None:
    """The encoder as most programs feed it: a frame after the other, in one thread."""
    mp4 = FORMATS["mp4"]
    with av.open(str(folder / "plain.mp4"), "w", options=dict(mp4.container)) as container:
        stream = container.add_stream(mp4.codec, rate=10, options=dict(mp4.options))
        stream.height, stream.width = ready[0].shape[:2]
        stream.pix_fmt = mp4.pixels
        for frame in ready:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgba")))
        container.mux(stream.encode())


def encode(ready: list[np.ndarray], folder: Path) -> None:
    """The encoder fed with whole frames by our own writer, which converts them beside it."""
    height, width = ready[0].shape[:2]
    with video(folder / "encoded.mp4", width, height, 10, {}) as writer:
        for frame in ready:
            writer.write(Frame.whole(frame))


def naive(cache: Path, folder: Path, frames: int) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    with open_cache(cache) as episode, imageio.imopen(folder / "naive.mp4", "w", plugin="pyav") as writer:
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


def memory(folder: Path, steps: int) -> tuple[float, float]:
    """Peak resident memory [MB] of a process that renders a long cache, and of the largest that it forks (Linux)."""
    cache = moving_cache(folder / "long.h5", steps)
    command = [sys.executable, "-c", LONG, str(cache), str(folder / "long")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, fork = map(float, done.stdout.split())
    print(f"peak of memory over {steps} steps: {peak:.0f} MB, and {fork:.0f} MB of a forked process")
    return peak, fork


if __name__ == "__main__":
    main()
