"""LeRobot's VQ-BeT: a transformer that chooses among the codes of a residual vector quantiser, and moves what they decode to.

Two layers of C codes make C² chunks. With l¹, l² the logits of the layers, T the temperature, e the code vectors and o¹, o² the
offsets (Lee et al. 2024, section 3.3),

    w_ij = softmax(l¹ / T)_i softmax(l² / T)_j,     a_ij = decode(e¹_i + e²_j) + o¹_i + o²_j

With `sequentially_select` the second layer's logits depend on i. All of this is from one pass, so the density is exact. It is
the density that the policy executes; "model" is that of T = 1. The network is trained by focal loss (Lin et al. 2017, eq. 4),
which pulls its probabilities towards even ones, and the temperature sharpens them far beyond: data of 0.6 / 0.4 become
0.54 / 0.46, and are executed as 0.82 / 0.18.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dlscore.common.arrays import Array
from dlscore.policy.atoms import AtomsPolicy
from dlscore.policy.base import inference
from dlscore.policy.errors import PolicyError
from dlscore.policy.schedule_fields import as_number, check_counts

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VQBeT"]

TAKEN = ["STATE", "VISUAL"]  # types of its inputs


class VQBeT(AtomsPolicy):
    """`type: vqbet` (Lee et al. 2024, Behavior Generation with Latent Actions)."""

    family: ClassVar[str] = "vqbet"
    lerobot = (
        "lerobot.policies.vqbet.configuration_vqbet:VQBeTConfig",
        "lerobot.policies.vqbet.modeling_vqbet:VQBeTPolicy",
    )
    required = (
        "n_obs_steps", "n_action_pred_token", "action_chunk_size", "vision_backbone", "crop_shape", "use_group_norm",
        "spatial_softmax_num_keypoints", "vqvae_n_embed", "vqvae_embedding_dim", "vqvae_enc_hidden_dim", "gpt_block_size",
        "gpt_input_dim", "gpt_output_dim", "gpt_n_layer", "gpt_n_head", "gpt_hidden_dim", "bet_softmax_temperature",
        "sequentially_select",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not bool(self.head.vqvae_model.discretized):
            raise PolicyError(
                f"policy {self.name} has a quantiser that was not trained to its end (discretized is false), and its actions "
                "mean nothing; train it for more than n_vqvae_training_steps"
            )

    @classmethod
    def check_config(cls, written: Mapping[str, Any], name: str) -> None:
        """One picture and the state, no other input; counts and the temperature in range."""
        features = written["input_features"]
        types = sorted(str(each.get("type")) for each in features.values()) if isinstance(features, dict) else []
        if types != TAKEN:
            raise PolicyError(
                f"config.json of policy {name} has inputs of types {', '.join(types)}; LeRobot's vqbet reads the wrong token "
                "unless they are one picture (VISUAL) and the state (STATE)"
            )
        counts = ("n_obs_steps", "n_action_pred_token", "action_chunk_size", "vqvae_n_embed")
        check_counts(written, name, dict.fromkeys(counts, 10_000))
        temperature = written["bet_softmax_temperature"]
        if not 0 < as_number(temperature) < float("inf"):
            raise PolicyError(
                f"config.json of policy {name} has bet_softmax_temperature {temperature!r}; it is a number above 0"
            )

    @classmethod
    def horizon_of(cls, written: Mapping[str, Any]) -> int:
        """The size of a chunk."""
        return int(written["action_chunk_size"])

    @property
    def head(self) -> Any:
        """LeRobot's VQBeTHead."""
        return self.policy.vqbet.action_head

    @property
    def horizon(self) -> int:
        """The size of a chunk."""
        return int(self.config.action_chunk_size)

    @property
    def current(self) -> int:
        """0: chunks begin with the current action."""
        return 0

    @property
    def executed_actions(self) -> int:
        """All of a chunk."""
        return self.horizon

    @property
    def count(self) -> int:
        """C², the pairs of codes."""
        return int(self.config.vqvae_n_embed) ** 2

    def describe_sampler(self) -> str:
        """Such as `256 pairs of codes at temperature 0.1`."""
        return f"{self.count} pairs of codes at temperature {self.config.bet_softmax_temperature:g}"

    @inference
    def encode(self, windows: dict[str, Array]) -> Tensor:
        """Conditioning (B, D): what LeRobot's transformer hands to its action head at the current step."""
        batch = self.observe(windows)
        kept: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda module, args: kept.append(args[0]))
        try:
            self.policy.vqbet(batch, rollout=True)
        finally:
            hook.remove()
        return kept[0][:, int(self.config.n_obs_steps) - 1]

    def find_atoms(self, conditioning: Tensor, density: str) -> tuple[Tensor, Tensor]:
        """(weights (S, C²) float64, chunks (S, C², H, 2)), the pair (i, j) at C i + j."""
        import torch

        codes, steps = int(self.config.vqvae_n_embed), len(conditioning)
        temperature = float(self.config.bet_softmax_temperature) if density == "executed" else 1.0
        # On the CPU, since not every device has float64.
        first, second = (logits.cpu().double() / temperature for logits in self._logits(conditioning))
        weights = torch.softmax(first, dim=-1)[:, :, None] * torch.softmax(second, dim=-1)
        offsets = self.head.map_to_cbet_preds_offset(conditioning).view(steps, 2, codes, self.horizon, 2)
        pairs = torch.cartesian_prod(*[torch.arange(codes, device=conditioning.device)] * 2)
        decoded = self.head.vqvae_model.get_action_from_latent(self.head.vqvae_model.get_embeddings_from_code(pairs))
        chunks = decoded.view(codes, codes, self.horizon, 2) + offsets[:, 0, :, None] + offsets[:, 1, None]
        return weights.flatten(1), chunks.flatten(1, 2)

    def _logits(self, conditioning: Tensor) -> tuple[Tensor, Tensor]:
        # (S, C) of the first layer; (S, 1 or C, C) of the second, for each code of the first where it depends on it.
        import torch

        codes, head = int(self.config.vqvae_n_embed), self.head
        if not self.config.sequentially_select:
            both = head.map_to_cbet_preds_bin(conditioning).view(-1, 2, codes)
            return both[:, 0], both[:, 1:]
        chosen = torch.eye(codes, dtype=conditioning.dtype, device=conditioning.device).expand(
            len(conditioning), -1, -1
        )
        given = torch.cat([conditioning[:, None].expand(-1, codes, -1), chosen], dim=-1)
        return head.map_to_cbet_preds_primary_bin(conditioning), head.map_to_cbet_preds_secondary_bin(given)
