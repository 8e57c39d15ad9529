"""How well the block's pose is recovered from pictures, and how far replays drift: human demonstrations (make bench-pose).

Lossless: random frames of random episodes, from nothing. AV1: random frames of 20 episodes, encoded as LeRobot does. Drift:
episodes replayed from the full state, and from the pose that was recovered from their first picture.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from lerobot.datasets import LeRobotDataset
from rich.progress import track

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ACTION, IMAGE, STATE
from dlscore.episodes.replay import replay
from dlscore.pusht.geometry import angle_difference
from dlscore.pusht.image_pose import fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="the human demonstrations, a zarr with images")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    source, rng = open_dataset(root=options.source), np.random.default_rng(options.seed)

    lossless = [
        one_frame(source, index, rng) for index in track(rng.integers(len(source), size=options.frames), "lossless")
    ]
    report = {"lossless": summarise("lossless", lossless)}
    report["av1"] = summarise("AV1", av1_frames(source, rng, options.frames))
    report["drift"] = drifts(options.source, source, rng.choice(len(source), options.episodes, replace=False))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def errors(picture: np.ndarray, agent: np.ndarray, truth: np.ndarray) -> tuple[float, float, float, float]:
    """(px, degrees, residual, seconds) of the pose from a picture (3, H, W)."""
    began = time.perf_counter()
    found = fit(picture.transpose(1, 2, 0), agent)
    seconds = time.perf_counter() - began
    turn = angle_difference(found.pose[2], truth[2])
    return float(np.hypot(*(found.pose[:2] - truth[:2]))), float(np.degrees(abs(turn))), found.residual, seconds


def one_frame(source, index: int, rng) -> tuple[float, float, float, float]:
    episode = source.load(int(index), [IMAGE])
    k = int(rng.integers(len(episode)))
    return errors(episode.observations[IMAGE][k], episode.agent[k], episode.block[k])


def av1_frames(source, rng, frames: int) -> list[tuple[float, float, float, float]]:
    chosen, found = rng.choice(len(source), 20, replace=False), []
    numbers = {"dtype": "float32", "shape": (2,), "names": None}
    video = {"dtype": "video", "shape": (96, 96, 3), "names": ["height", "width", "channels"]}
    with tempfile.TemporaryDirectory() as folder:
        dataset = LeRobotDataset.create("local/av1", fps=10, features={IMAGE: video, STATE: numbers, ACTION: numbers},
                                        root=Path(folder) / "av1", video_backend="pyav")  # fmt: skip
        for index in track(chosen, "encode"):
            episode = source.load(int(index), [IMAGE])
            for k in range(len(episode)):
                picture = episode.observations[IMAGE][k].transpose(1, 2, 0)
                values = {IMAGE: picture, STATE: np.float32(episode.agent[k]), ACTION: np.float32(episode.action[k])}
                dataset.add_frame({**values, "task": "Push the T to the goal."})
            dataset.save_episode()
        dataset.finalize()
        for n, index in enumerate(track(chosen, "AV1")):
            episode = source.load(int(index))
            coded = LeRobotDataset("local/av1", root=Path(folder) / "av1", episodes=[n], video_backend="pyav")
            for k in rng.integers(len(episode), size=frames // 20):
                found.append(errors(coded[int(k)][IMAGE].numpy(), episode.agent[k], episode.block[k]))
    return found


def summarise(name: str, found: list[tuple[float, float, float, float]]) -> dict:
    values = np.array(found)
    rows = {}
    for k, part in enumerate(("px", "degrees", "residual", "seconds")):
        middle, high, largest = (float(v) for v in (*np.percentile(values[:, k], [50, 95]), values[:, k].max()))
        rows[part] = {"median": middle, "p95": high, "max": largest}
        print(
            f"{name}, {len(values)} frames, {part}: median {middle:.3f}, 95th percentile {high:.3f}, largest {largest:.3f}"
        )
    return rows


def drifts(path: str, source, chosen) -> dict:
    """Largest drift of each episode [px, degrees]: from the full state and from the first picture."""
    images, report = open_dataset(root=path, block_pose="image"), {}
    for index in sorted(int(k) for k in chosen):
        true, row = source.load(index), {}
        for name, episode in (("state", true), ("image", images.load(index))):
            states = np.array([step.state for step in replay(episode)])
            px = float(np.hypot(*(states[:, 2:4] - true.block[:, :2]).T).max())
            turn = float(np.degrees(np.abs(angle_difference(states[:, 4], true.block[:, 2])).max()))
            start = float(np.hypot(*(states[0, 2:4] - true.block[0, :2])))
            row[name] = {"px": px, "degrees": turn, "start_px": start}
        report[index] = row
        print(f"episode {index:3d}: from the state {row['state']['px']:.2g} px; from the first picture "
              f"{row['image']['start_px']:.2f} px at the start, {row['image']['px']:.2f} px and "
              f"{row['image']['degrees']:.2f} degrees at most")  # fmt: skip
    for name in ("state", "image"):
        largest = np.array([row[name]["px"] for row in report.values()])
        print(f"drift from {name}, {len(largest)} episodes: median of the largest {np.median(largest):.2g} px, 95th percentile "
              f"{np.percentile(largest, 95):.2g} px, largest {largest.max():.2g} px")  # fmt: skip
    return report


if __name__ == "__main__":
    main()
