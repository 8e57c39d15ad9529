"""What this project needs of any policy that acts on PushT: encode, sample chunks, change units.

A family of policies is a subclass. Its density is of one of KINDS: a *denoiser* along a Gaussian path (`denoiser`), *atoms* with
weights (`atoms`), or a *point*, which is no density. Scorers ask for the kind, never for a family.

Chunks are tensors (B, H, 2) in the policy's normalised units unless a name says px. H is the horizon; `current` is the entry of
a chunk that is the current action.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dlscore.common.arrays import Array
from dlscore.common.world import WORLD_SIZE
from dlscore.policy.errors import PolicyError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["KINDS", "Policy", "inference"]

KINDS = ("denoiser", "atoms", "point")
STATISTICS = ("mean", "std", "min", "max")
NARROWEST_RANGE = 8.0  # px between normalised -1 and 1 of an action: less is another unit, such as [-1, 1]


def inference[**P, T](method: Callable[P, T]) -> Callable[P, T]:
    """A method that runs without gradients. It imports torch when it is called: configs are read without."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        import torch

        with torch.inference_mode():
            return method(*args, **kwargs)

    return call


class Policy:
    """A loaded policy: LeRobot's `policy`, `preprocess` and `postprocess`, and what scoring needs of them.

    `evaluations` counts chunks through the network since it was last set to 0; `notes` are what its user should know of
    how it was loaded. A subclass is a family: its class variables say what of a checkpoint is needed to load it (`load`).
    """

    family: ClassVar[str]  # `type` in config.json
    kind: ClassVar[str]  # one of KINDS
    without_density: ClassVar[str] = "it predicts one action for each observation; choose --scoring-method distance"
    lerobot: ClassVar[tuple[str, str] | None] = None  # "module:Class" of LeRobot's config and of its policy
    takes_task: ClassVar[bool] = False  # whether it is told a text, by `set_task`
    required: ClassVar[tuple[str, ...]] = ()  # fields of config.json of which a default would make another network
    required_for_images: ClassVar[tuple[str, ...]] = ()

    def __init__(self, policy: Any, preprocess: Any, postprocess: Any, *, name: str, revision: str, fingerprint: str,
                 device: torch.device, batch_size: int = 256, notes: tuple[str, ...] = ()) -> None:  # fmt: skip
        self.policy, self.preprocess, self.postprocess = policy, preprocess, postprocess
        self.name, self.revision, self.fingerprint = name, revision, fingerprint
        self.device, self.batch_size, self.notes = device, batch_size, notes
        self.config = policy.config
        self.evaluations = 0
        self.encodings = 0
        self.accelerated = False  # whether the network was replaced by a faster one, of other rounding
        self._offset, self._scale = self._affine()

    # ---- what a family says -----------------------------------------------------------------------------------------

    @classmethod
    def check_config(cls, written: Mapping[str, Any], name: str) -> None:
        """Raise PolicyError for a config.json of policy `name` that would be misread. Without torch."""

    @classmethod
    def build(cls, make_policy: Any, config: Any) -> Any:
        """LeRobot's policy, whose weights follow, without fetching anything."""
        return make_policy(config)

    @classmethod
    def processor_changes(cls, config: Any) -> dict[str, dict[str, Any]]:
        """What is set otherwise than in the processor files: step -> fields."""
        return {}

    @classmethod
    def horizon_of(cls, written: Mapping[str, Any]) -> int:
        """The horizon H of a config.json, without torch."""
        return int(written["horizon"])

    @property
    def horizon(self) -> int:
        """H, the actions of a chunk."""
        return int(self.config.horizon)

    @property
    def current(self) -> int:
        """Which entry of a chunk is the current action."""
        return int(self.config.n_obs_steps) - 1

    @property
    def observation_indices(self) -> tuple[int, ...]:
        """The steps of an observation window, relative to the current one: (-1, 0) for two."""
        return tuple(self.config.observation_delta_indices)

    @property
    def executed_actions(self) -> int:
        """How many actions of a chunk are executed before the next one is predicted."""
        return min(int(self.config.n_action_steps), self.horizon - self.current)

    def chunk_evaluations(self, chunks: int) -> int:
        """Network evaluations of `sample` for so many chunks of one step."""
        return 1

    def describe_sampler(self) -> str:
        """The policy's own sampler, such as `DDPM, 100 steps`."""
        raise NotImplementedError

    def encode(self, windows: dict[str, Array]) -> Tensor:
        """Conditioning (B, D) of observation windows (B, W, …), through the policy's own preprocessor."""
        raise NotImplementedError

    def sample(self, conditioning: Tensor, seeds: list[list[int]]) -> Tensor:
        """Chunks (B, M, H, 2) from the policy's own sampler, M for each conditioning (B, D).

        Every chunk has its own random stream, seeds[b][m], so it does not depend on the rest of its batch.
        """
        raise NotImplementedError

    # ---- what follows ------------------------------------------------------------------------------------------------

    def set_task(self, task: str) -> None:
        """The text of all observations from now on, where the family takes one."""

    def observe(self, windows: dict[str, Array]) -> dict[str, Any]:
        """The preprocessed batch of observation windows, its pictures stacked as LeRobot's networks take them."""
        import torch

        batch: dict[str, Any] = self.preprocess({name: torch.as_tensor(values) for name, values in windows.items()})
        images = list(self.config.image_features)
        if images:
            batch["observation.images"] = torch.stack([batch[name] for name in images], dim=-4)
        self.encodings += len(batch["observation.state"])
        return batch

    @property
    def device_name(self) -> str:
        """The device as its maker calls it."""
        import torch

        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return platform.processor() or platform.machine()

    def describe_config(self) -> dict[str, Any]:
        """The fields of LeRobot's config that are plain values, lists or tables of them."""
        return {name: value for name, value in vars(self.config).items() if _is_plain(value)}

    def describe_statistics(self) -> dict[str, dict[str, list[float]]]:
        """The normalisation statistics of actions and numeric observations: feature -> statistic -> values."""
        found: dict[str, dict[str, list[float]]] = {}
        known = {**self.config.input_features, **self.config.output_features}
        pipelines = (getattr(each, "steps", ()) for each in (self.preprocess, self.postprocess))
        for step in chain.from_iterable(pipelines):
            for feature, statistics in (getattr(step, "_tensor_stats", None) or {}).items():
                if feature not in known:
                    continue
                values = {name: value.flatten().tolist() for name, value in statistics.items() if value.numel() <= 64}
                found.setdefault(feature, {}).update(
                    {name: each for name, each in values.items() if name in STATISTICS}
                )
        return found

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Observation features that the policy takes, with their shapes."""
        return {name: tuple(feature.shape) for name, feature in self.config.input_features.items()}

    def to_px(self, normalised: Array) -> Array:
        """Normalised actions (..., 2) in px."""
        return np.asarray(normalised, dtype=np.float64) * self._scale + self._offset

    def from_px(self, px: Array) -> Array:
        """Actions (..., 2) [px] in normalised units."""
        return (np.asarray(px, dtype=np.float64) - self._offset) / self._scale

    @property
    def px_per_unit(self) -> Array:
        """(2,) d px / d normalised of an action."""
        return self._scale

    def _affine(self) -> tuple[Array, Array]:
        import torch

        # The postprocessor's unnormalisation, whatever its mode, read off three points. It is affine or refused.
        values = self.postprocess(torch.tensor([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0]])).cpu().double().numpy()
        offset, scale = values[0], (values[1] - values[2]) / 2
        if (
            not np.isfinite(values).all()
            or not np.allclose(values[1] - values[0], scale, rtol=1e-3)
            or (scale <= 0).any()
        ):
            raise PolicyError(
                f"policy {self.name} has action statistics that are not a scale and an offset: {values.tolist()}"
            )
        if np.all(scale == 1) and np.all(offset == 0):
            raise PolicyError(
                f"policy {self.name} does not normalise its actions; PushT policies do: its processor files lack the "
                "data set's statistics"
            )
        if (2 * scale < NARROWEST_RANGE).any():
            low, high = ((offset + end * scale).round(3).tolist() for end in (-1, 1))
            raise PolicyError(
                f"policy {self.name} has actions from {low} to {high}, which cannot be px of a world of {WORLD_SIZE} px: "
                "train it on actions in px, or put their statistics in px into its processor files"
            )
        return offset, scale


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
