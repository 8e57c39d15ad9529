"""LeRobot's multi-task diffusion transformer: a denoiser under DDPM, or flow matching from noise to data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from dlscore.common.arrays import Array
from dlscore.common.choices import suggest
from dlscore.policy.base import inference
from dlscore.policy.clip import built_from_config, find_tokenizer
from dlscore.policy.denoiser import DenoiserPolicy
from dlscore.policy.errors import PolicyError
from dlscore.policy.paths import DiffusionPath, FlowPath
from dlscore.policy.schedule_fields import as_number, check_counts, check_schedule

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["MultiTaskDiT"]

OBJECTIVES = ("diffusion", "flow_matching")
METHODS = ("euler", "rk4")
SCHEDULE = ("noise_scheduler_type", "num_train_timesteps", "beta_schedule", "prediction_type", "clip_sample")
FLOW = ("sigma_min", "num_integration_steps", "integration_method")


class MultiTaskDiT(DenoiserPolicy):
    """`type: multi_task_dit`. Its observations have a text, `task`, the same at every step."""

    family: ClassVar[str] = "multi_task_dit"
    takes_task: ClassVar[bool] = True
    lerobot = (
        "lerobot.policies.multi_task_dit.configuration_multi_task_dit:MultiTaskDiTConfig",
        "lerobot.policies.multi_task_dit.modeling_multi_task_dit:MultiTaskDiTPolicy",
    )
    required = (
        "horizon", "n_obs_steps", "n_action_steps", "objective", "hidden_dim", "num_layers", "num_heads",
        "use_positional_encoding", "timestep_embed_dim", "use_rope", "rope_base", "text_encoder_name",
        "tokenizer_max_length", "tokenizer_padding", "tokenizer_padding_side", "tokenizer_truncation",
    )  # fmt: skip
    required_for_images = (
        "vision_encoder_name", "use_separate_rgb_encoder_per_camera", "image_resize_shape", "image_crop_shape",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preprocess = WithTask(self.preprocess)

    def set_task(self, task: str) -> None:
        """The text of all observations from now on."""
        self.preprocess.task = task

    @classmethod
    def check_config(cls, written: Mapping[str, Any], name: str) -> None:
        """No input that LeRobot ignores; the fields of the objective whole and in range."""
        where = f"config.json of policy {name}"
        features = written["input_features"]
        types = {key: each.get("type") for key, each in features.items()} if isinstance(features, dict) else {}
        if ignored := [key for key, kind in types.items() if kind not in ("STATE", "VISUAL")]:
            raise PolicyError(
                f"{where} lists {', '.join(ignored)}, which LeRobot's multi_task_dit ignores: it looks at the state and at "
                "pictures; train a diffusion policy on keypoints, or take them out of input_features"
            )
        horizon, objective = written["horizon"], written["objective"]
        check_counts(written, name, {"horizon": 10_000, "n_obs_steps": horizon, "n_action_steps": horizon})
        if objective not in OBJECTIVES:
            raise PolicyError(f"{where} has objective {objective!r}; {suggest(str(objective), OBJECTIVES)}")
        needed = SCHEDULE if objective == "diffusion" else FLOW
        if missing := [field for field in needed if field not in written]:
            raise PolicyError(f"{where} lacks {', '.join(missing)}; add the values it was trained with")
        if objective == "diffusion":
            check_schedule(written, name)
        else:
            cls._check_flow(written, name)

    @classmethod
    def _check_flow(cls, written: Mapping[str, Any], name: str) -> None:
        where = f"config.json of policy {name}"
        check_counts(written, name, {"num_integration_steps": 100_000})
        if (method := written["integration_method"]) not in METHODS:
            raise PolicyError(f"{where} has integration_method {method!r}; {suggest(str(method), METHODS)}")
        least = written["sigma_min"]
        if not 0 <= as_number(least) < 1:
            raise PolicyError(f"{where} has sigma_min {least!r}; it is a number from 0 to below 1")

    @classmethod
    def build(cls, make_policy: Any, config: Any) -> Any:
        """LeRobot's policy, its CLIP encoders from their configs alone."""
        from lerobot.policies.multi_task_dit import modeling_multi_task_dit

        if modeling_multi_task_dit.CLIPTextModel is None:
            raise PolicyError("a multi_task_dit policy needs transformers; pip install '.[score,dit]' in the source")
        with built_from_config(modeling_multi_task_dit):
            return make_policy(config)

    @classmethod
    def processor_changes(cls, config: Any) -> dict[str, dict[str, Any]]:
        """The tokenizer of the config's own text encoder, whatever the processor file names."""
        return {"tokenizer_processor": {"tokenizer": find_tokenizer(config.text_encoder_name)}}

    @cached_property
    def path(self) -> DiffusionPath | FlowPath:
        """That of the objective it was trained on."""
        if self.config.is_diffusion:
            return DiffusionPath(self.policy.objective.noise_scheduler, self.sampler_steps)
        return FlowPath(self.sampler_steps, float(self.config.sigma_min), method=self.config.integration_method)

    @property
    def sampler_steps(self) -> int:
        """Network evaluations of the policy's own sampler per chunk, or four times as many by rk4."""
        return int(
            self.policy.objective.num_inference_steps if self.config.is_diffusion else self.config.num_integration_steps
        )

    def chunk_evaluations(self, chunks: int) -> int:
        """Four for each step of rk4."""
        fourfold = not self.config.is_diffusion and self.config.integration_method == "rk4"
        return chunks * self.sampler_steps * (4 if fourfold else 1)

    def describe_sampler(self) -> str:
        """Such as `euler, 100 steps`."""
        name = self.config.noise_scheduler_type if self.config.is_diffusion else self.config.integration_method
        return f"{name}, {self.sampler_steps} steps"

    @inference
    def encode(self, windows: dict[str, Array]) -> Tensor:
        """Conditioning (B, D) of observation windows (B, n_obs_steps, …) and the task."""
        conditioning: Tensor = self.policy.observation_encoder.encode(self.observe(windows))
        return conditioning

    def network(self, x: Tensor, time: float, conditioning: Tensor) -> Tensor:
        """The transformer's output."""
        import torch

        dtype = torch.long if self.config.is_diffusion else x.dtype
        times = torch.full((len(conditioning),), time, dtype=dtype, device=x.device)
        output: Tensor = self.policy.noise_predictor(x, times, conditioning_vec=conditioning)
        return output

    def integrate(self, conditioning: Tensor, noise: Tensor, streams: list[torch.Generator]) -> Tensor:
        """LeRobot's own steps, with noise of these streams: its samplers take no generator."""
        import torch

        objective, model = self.policy.objective, self.policy.noise_predictor
        if not self.config.is_diffusion:
            grid = torch.linspace(0, 1, self.sampler_steps + 1, device=noise.device)
            steps = (
                objective._euler_integrate if self.config.integration_method == "euler" else objective._rk4_integrate
            )
            found: Tensor = steps(model, noise, grid, conditioning)
            return found
        x, scheduler = noise, objective.noise_scheduler
        scheduler.set_timesteps(self.sampler_steps)
        for t in scheduler.timesteps:
            times = torch.full((len(x),), int(t), dtype=torch.long, device=x.device)
            output = model(x, times, conditioning_vec=conditioning)
            x = scheduler.step(output, t, x, generator=streams).prev_sample
        return x


class WithTask:
    """A preprocessor that adds the text to each batch that has none."""

    def __init__(self, preprocess: Any) -> None:
        self.preprocess, self.task = preprocess, ""
        self.steps = preprocess.steps

    def __call__(self, batch: dict[str, Any]) -> Any:
        """The preprocessed batch."""
        rows = len(next(iter(batch.values())))
        return self.preprocess(batch if "task" in batch else batch | {"task": [self.task] * rows})
