"""The block's pose, from the first of four sources: full state, keypoints, companion data set, picture.

Each finder returns poses (T, 3), or (1, 3) if only the start is needed, and a description of their source. A finder that
cannot raises PoseUnknown; then `locate` tries the next one. Skipped finders are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.errors import UserError
from dlscore.common.progress import Watch, silent
from dlscore.episodes.episode import ACTION, ENVIRONMENT, FULL_STATE, STATE, DatasetError
from dlscore.pusht.geometry import keypoints_of_pose, pose_from_keypoints
from dlscore.pusht.image_pose import ImagePose, fit

if TYPE_CHECKING:
    from dlscore.episodes.reader import Reader


COMPANION = "lerobot/pusht_keypoints"  # the episodes of lerobot/pusht and lerobot/pusht_image, with keypoints
HAVE_COMPANION = ("lerobot/pusht", "lerobot/pusht_image")
RIGID = 0.5  # px by which keypoints may differ from those of a pose
AGREEMENT = 1e-3  # px by which states and actions of a data set and its companion may differ

# Mean absolute difference [1/255] between a picture and the world drawn at the pose that fits it best. Measured on human
# episodes: lossless at most 0.07 where the pose is right and 0.3 where it is 3 px off; AV1 at rest at most 0.94, and
# 1.2 where it is 4 px off; AV1 in motion up to 2.0, where the picture lags behind.
LIMIT, LIMIT_VIDEO, LIMIT_VIDEO_MOVING = 0.3, 1.2, 2.5


class PoseUnknown(UserError):
    """A source of the block's pose that this data set or episode does not have."""


class Pictures(Protocol):
    """(K, 3, H, W) uint8 pictures of a camera: all steps that are needed, or those before `stop`."""

    def __call__(self, name: str, stop: int | None = None) -> Array: ...


@dataclass(frozen=True)
class Record:
    """What is known of an episode: numeric arrays (T, …) by feature, its pictures, and the companion data set.

    cameras: feature -> whether it is a video, with losses. every_step: whether the pose is needed at every step.
    """

    index: int
    arrays: dict[str, Array]
    cameras: dict[str, bool]
    pictures: Pictures
    companion: Callable[[], Reader]
    every_step: bool
    watch: Watch = silent


def from_state(record: Record) -> tuple[Array, str]:
    """The full state (T, 5)."""
    name = state_feature({name: values.shape[1:] for name, values in record.arrays.items()})
    if name is None:
        raise PoseUnknown(f"it has no {FULL_STATE[0]} (5,)")
    return record.arrays[name][:, 2:], f"full state ({name})"


def from_keypoints(record: Record) -> tuple[Array, str]:
    """The 8 keypoints (T, 16), in closed form."""
    if keypoint_feature({name: values.shape[1:] for name, values in record.arrays.items()}) is None:
        raise PoseUnknown(f"it has no {ENVIRONMENT} (16,)")
    return _poses_of(record.arrays[ENVIRONMENT]), f"keypoints ({ENVIRONMENT})"


def _poses_of(keypoints: Array) -> Array:
    # Any points have a nearest pose; a block's keypoints match it.
    points = keypoints.reshape(-1, 8, 2)
    if not np.isfinite(points).all():
        raise PoseUnknown(f"{ENVIRONMENT} holds non-finite values")
    poses = np.array([pose_from_keypoints(each) for each in points])
    if (apart := float(np.abs(keypoints_of_pose(poses) - points).max())) > RIGID:
        raise PoseUnknown(
            f"{ENVIRONMENT} is not the block's 8 corners in px: they are up to {apart:.3g} px from any pose of it"
        )
    return poses


def from_companion(record: Record) -> tuple[Array, str]:
    """The keypoints of the same episode in `COMPANION`, if its agent and actions are the same."""
    companion = record.companion()
    if record.index >= len(companion):
        raise PoseUnknown(f"{COMPANION} has {len(companion)} episodes")
    other = companion.read(record.index, (STATE, ACTION, ENVIRONMENT))
    for name in (STATE, ACTION):
        ours, theirs = record.arrays[name][:, :2], other[name]
        if len(ours) != len(theirs):
            raise PoseUnknown(f"episode {record.index} of {COMPANION} has {len(theirs)} steps, not {len(ours)}")
        if (apart := float(np.abs(ours - theirs).max())) > AGREEMENT:
            raise PoseUnknown(f"'{name}' of {COMPANION} differs by up to {apart:.3g} px")
    return _poses_of(
        other[ENVIRONMENT]
    ), f"companion data set {COMPANION} ({companion.revision}), whose states and actions agree"


def from_images(record: Record) -> tuple[Array, str]:
    """The recorded pictures by render-and-compare: the first one, or every one."""
    if not record.cameras:
        raise PoseUnknown("it has no picture")
    reasons = []
    for name, is_video in record.cameras.items():
        limit = LIMIT_VIDEO if is_video else LIMIT
        try:
            found = [_fit_first(record, name, limit)]
            if record.every_step:
                limit = LIMIT_VIDEO_MOVING if is_video else LIMIT
                found += _fit_others(record, name, limit, found[0])
        except PoseUnknown as error:
            reasons.append(str(error))
            continue
        which = f"every picture of {name}" if record.every_step else f"the first picture of {name}"
        residual = max(each.residual for each in found)
        return np.array([each.pose for each in found]), f"{which}, residual {residual:.2f}/255 (limit {limit})"
    raise PoseUnknown("; ".join(reasons))


def _fit_first(record: Record, camera: str, limit: float) -> ImagePose:
    found = fit(record.pictures(camera, 1)[0].transpose(1, 2, 0), record.arrays[STATE][0, :2])
    if found is None or not found.residual <= limit:
        shown = "shows no whole block" if found is None else f"fits no pose (residual {found.residual:.2f}/255)"
        raise PoseUnknown(f"the first picture of {camera} {shown}, limit {limit}")
    return found


def _fit_others(record: Record, camera: str, limit: float, first: ImagePose) -> list[ImagePose]:
    # Each picture after the first, searched from the pose of the one before.
    pictures, agent = record.pictures(camera), record.arrays[STATE][:, :2]
    poses = [first]
    with record.watch(f"poses of episode {record.index} from {camera}") as report:
        for k in range(1, len(pictures)):
            picture = pictures[k].transpose(1, 2, 0)
            found = fit(picture, agent[k], poses[-1].pose)
            if found is None or found.residual > limit / 2:  # lost: search everywhere
                candidates = [each for each in (found, fit(picture, agent[k])) if each]
                found = min(candidates, key=lambda each: each.residual, default=None)
            if found is None or not found.residual <= limit:
                residual = "no block" if found is None else f"residual {found.residual:.2f}/255, limit {limit}"
                raise PoseUnknown(f"the picture of {camera} at step {k} fits no pose ({residual})")
            poses.append(found)
            report(k + 1, len(pictures))
    return poses[1:]


FINDERS = {"state": from_state, "keypoints": from_keypoints, "companion": from_companion, "image": from_images}
CHOICES = ("auto", *FINDERS)


def locate(record: Record, wanted: str, name: str) -> tuple[Array, str, str]:
    """(poses, their source, why the companion was skipped) by the finder that is `wanted`, or by the first that works.

    Raises DatasetError with each finder's reason if none does.
    """
    reasons = []
    for kind in FINDERS if wanted == "auto" else (wanted,):
        try:
            poses, source = FINDERS[kind](record)
        except UserError as error:
            reasons.append(f"{kind}: {error}")
            continue
        return poses, source, "".join(reason for reason in reasons if reason.startswith("companion: "))
    raise DatasetError(
        f"where the block is in episode {record.index} of {name} is not known, so a replay cannot start; "
        f"{'; '.join(reasons)}"
    )


def state_feature(features: dict[str, tuple[int, ...]]) -> str | None:
    """The feature that holds the full state (5,), if any."""
    return next((name for name in (*FULL_STATE, STATE) if tuple(features.get(name, ())) == (5,)), None)


def keypoint_feature(features: dict[str, tuple[int, ...]]) -> str | None:
    """The feature that holds the 8 keypoints (16,), if any; an environment state of another shape is something else."""
    return ENVIRONMENT if tuple(features.get(ENVIRONMENT, ())) == (16,) else None
