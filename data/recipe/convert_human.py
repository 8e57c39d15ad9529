"""Turn a Diffusion Policy zarr (or any source that dlscore reads) into a small LeRobotDataset to train on.

Low-dimensional features only: agent position, the block's 8 keypoints, action.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from lerobot.datasets import LeRobotDataset
from rich.progress import track

from dlscore.episodes.dataset import open_dataset
from dlscore.episodes.episode import ACTION, ENVIRONMENT, STATE

FEATURES = {
    STATE: {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    ENVIRONMENT: {"dtype": "float32", "shape": (16,), "names": [f"{axis}{k}" for k in range(8) for axis in "xy"]},
    ACTION: {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="zarr folder or .zip, or the folder of a LeRobotDataset")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--first", type=int, help="so many episodes only, to keep the others unseen by what is trained")
    options = parser.parse_args()

    source = open_dataset(root=options.source)
    part = options.output.with_name(options.output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    dataset = LeRobotDataset.create(
        "local/pusht_human", fps=10, features=FEATURES, root=part, use_videos=False, video_backend="pyav"
    )
    for index in track(range(options.first or len(source)), "convert"):
        episode = source.load(index, [STATE, ENVIRONMENT])
        for k in range(len(episode)):
            frame = {name: values[k] for name, values in episode.observations.items()}
            dataset.add_frame(
                {**frame, ACTION: episode.action[k].astype(np.float32), "task": "Push the T to the goal."}
            )
        dataset.save_episode()
    dataset.finalize()
    shutil.rmtree(options.output, ignore_errors=True)
    part.rename(options.output)


if __name__ == "__main__":
    main()
