"""LeRobot's ACT: one chunk for each observation.

At inference its latent is 0, so it predicts a point. Its loss, an L1 distance beside a divergence of weight `kl_weight`, is
that of a Laplace density whose width is horizon × 2 × kl_weight, about 32,000 px: it says nothing of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dlscore.common.arrays import Array
from dlscore.policy.base import Policy, inference
from dlscore.policy.errors import PolicyError
from dlscore.policy.schedule_fields import check_counts

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ACT"]


class ACT(Policy):
    """`type: act` (Zhao et al. 2023)."""

    family: ClassVar[str] = "act"
    kind: ClassVar[str] = "point"
    without_density: ClassVar[str] = (
        "an ACT predicts one action for each observation, and the width that its loss implies (chunk_size · 2 · kl_weight "
        "units) means nothing; choose --scoring-method distance"
    )
    lerobot = ("lerobot.policies.act.configuration_act:ACTConfig", "lerobot.policies.act.modeling_act:ACTPolicy")
    required = (
        "n_obs_steps", "chunk_size", "n_action_steps", "pre_norm", "dim_model", "n_heads", "dim_feedforward",
        "feedforward_activation", "n_encoder_layers", "n_decoder_layers", "use_vae", "latent_dim", "n_vae_encoder_layers",
    )  # fmt: skip
    required_for_images = ("vision_backbone", "replace_final_stride_with_dilation")

    @classmethod
    def check_config(cls, written: Mapping[str, Any], name: str) -> None:
        """One observation step; counts in range; the state among the inputs; no ensemble over time."""
        size = written["chunk_size"]
        check_counts(written, name, {"chunk_size": 10_000, "n_obs_steps": 1, "n_action_steps": size})
        if written.get("temporal_ensemble_coeff") is not None:
            raise PolicyError(
                f"config.json of policy {name} has temporal_ensemble_coeff {written['temporal_ensemble_coeff']!r}: each action "
                "is then a mean of predictions from earlier observations, which one observation does not tell; set it to null"
            )

    @classmethod
    def horizon_of(cls, written: Mapping[str, Any]) -> int:
        """The size of a chunk."""
        return int(written["chunk_size"])

    @property
    def horizon(self) -> int:
        """The size of a chunk."""
        return int(self.config.chunk_size)

    @property
    def current(self) -> int:
        """0: chunks begin with the current action."""
        return 0

    @property
    def observation_indices(self) -> tuple[int, ...]:
        """The current step alone; LeRobot's config says None."""
        return (0,)

    def describe_sampler(self) -> str:
        """It draws nothing."""
        return "one prediction, latent 0"

    @inference
    def encode(self, windows: dict[str, Array]) -> Tensor:
        """The predicted chunk, flat: (B, 2 H)."""
        batch = self.observe(windows)
        seen = {name: values[:, 0] for name, values in batch.items() if name in self.config.input_features}
        chunks: Tensor = self.policy.predict_action_chunk(seen)
        self.evaluations += len(chunks)
        return chunks.flatten(1)

    @inference
    def sample(self, conditioning: Tensor, seeds: list[list[int]]) -> Tensor:
        """The predicted chunk (B, M, H, 2), M times."""
        return conditioning.view(len(seeds), 1, self.horizon, 2).expand(-1, len(seeds[0]), -1, -1)
