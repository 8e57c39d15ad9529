"""A data set's features under the policy's names: which there are, what they are called, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dlscore.common.arrays import Array
from dlscore.episodes.episode import ENVIRONMENT, IMAGE, STATE, DatasetError
from dlscore.episodes.reader import Reader

__all__ = ["EpisodePictures", "check_features", "map_names"]

# What lerobot-eval calls the features of the rollouts that it records (features_map of LeRobot's PushtEnv).
RECORDED_NAMES = {"agent_pos": STATE, "environment_state": ENVIRONMENT, "pixels": IMAGE}


def map_names(reader: Reader, rename: Mapping[str, str], optional: Mapping[str, str]) -> dict[str, str]:
    """The data set's names -> the policy's. DatasetError for a name that is not there, or is given twice."""
    for name in rename:
        if name not in reader.features:
            raise DatasetError(
                f"--rename-map renames '{name}', which data set {reader.name} lacks; it has "
                f"{', '.join(sorted(reader.features))}"
            )
    names = {
        name: new for name, new in RECORDED_NAMES.items() if name in reader.features and new not in reader.features
    }
    names |= {name: new for name, new in optional.items() if name in reader.features} | dict(rename)
    taken = [names.get(name, name) for name in reader.features]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        whose = "--rename-map" if twice[0] in rename.values() else "the checkpoint's own rename map"
        raise DatasetError(
            f"{whose} gives '{twice[0]}' to two features of data set {reader.name}; rename the other with --rename-map"
        )
    return names


def check_features(
    name: str, features: Mapping[str, tuple[int, ...]], positions: Iterable[str], others: Mapping[str, tuple[int, ...]]
) -> None:
    for feature, shape in {**dict.fromkeys(positions, (2,)), **others}.items():
        if feature not in features:
            raise DatasetError(
                f"data set {name} has no feature '{feature}' (it has {', '.join(sorted(features))}); PushT scoring needs "
                "expert actions and the agent's position; --rename-map gives a feature another name"
            )
        if tuple(features[feature]) != shape:
            raise DatasetError(
                f"feature '{feature}' of data set {name} has shape {features[feature]}; PushT's has {shape}"
            )


class EpisodePictures:
    """The pictures of an episode by the policy's names, decoded when they are asked for, and once."""

    def __init__(self, reader: Reader, index: int, theirs: Mapping[str, str], steps: int | None) -> None:
        self._reader, self._index, self._theirs, self._steps = reader, index, theirs, steps
        self._decoded: dict[tuple[str, int | None], Array] = {}

    def __call__(self, name: str, stop: int | None = None) -> Array:
        stop = self._steps if stop is None else stop
        if (name, stop) not in self._decoded:
            found = self._reader.pictures(self._index, self._theirs[name], stop)
            expected = self._reader.features[self._theirs[name]]
            if found.shape[1:] != expected:
                raise DatasetError(
                    f"'{name}' of episode {self._index} of {self._reader.name} has shape {found.shape[1:]}; the data set "
                    f"declares {expected}"
                )
            self._decoded[name, stop] = found
        return self._decoded[name, stop]
