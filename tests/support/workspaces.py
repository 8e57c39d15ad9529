"""Checkpoint files as the Diffusion Policy project writes them, of a tiny network, and its forward pass in plain torch.

The forward pass and the sampler are written here from the papers, on the file's own names, so that they share nothing with
what is tested.
"""

import itertools
import math
import pickle
import sys
import types
from collections import defaultdict
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import dill
import torch
from torch.nn import functional as F

TINY = {"steps": 2, "horizon": 8, "embedding": 16, "widths": [8, 16, 32], "kernel": 5, "groups": 4}
ROOT = "diffusion_policy"


def make_config(**changes) -> dict:
    """The project's config of its low-dimensional U-Net, resolved; `changes` by dotted name, with _ for a dot twice."""
    flags = {"obs_as_local_cond": False, "obs_as_global_cond": True, "pred_action_steps_only": False}
    config: dict[str, Any] = {
        "name": "train_diffusion_unet_lowdim",
        "_target_": f"{ROOT}.workspace.train_diffusion_unet_lowdim_workspace.TrainDiffusionUnetLowdimWorkspace",
        "obs_dim": 20, "action_dim": 2, "horizon": TINY["horizon"], "n_latency_steps": 0, "past_action_visible": False, **flags,
        "policy": {
            "_target_": f"{ROOT}.policy.diffusion_unet_lowdim_policy.DiffusionUnetLowdimPolicy",
            "model": {
                "_target_": f"{ROOT}.model.diffusion.conditional_unet1d.ConditionalUnet1D", "input_dim": 2,
                "local_cond_dim": None, "global_cond_dim": 40, "diffusion_step_embed_dim": TINY["embedding"],
                "down_dims": TINY["widths"], "kernel_size": TINY["kernel"], "n_groups": TINY["groups"],
                "cond_predict_scale": True,
            },
            "noise_scheduler": {
                "_target_": "diffusers.schedulers.scheduling_ddpm.DDPMScheduler", "num_train_timesteps": 20,
                "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "squaredcos_cap_v2", "variance_type": "fixed_small",
                "clip_sample": True, "prediction_type": "epsilon",
            },
            "horizon": TINY["horizon"], "obs_dim": 20, "action_dim": 2, "n_action_steps": 4, "n_obs_steps": TINY["steps"],
            "num_inference_steps": 20, **flags, "oa_step_convention": True,
        },
        "task": {"name": "pusht_lowdim", "env_runner": {"agent_keypoints": False}},
        "training": {"use_ema": True},
    }  # fmt: skip
    for place, value in changes.items():
        *parents, last = place.split(".")
        table = config
        for each in parents:
            table = table[each]
        table.pop(last, None)
        if value is not ...:
            table[last] = value
    return deepcopy(config)


def make_weights(scale: bool = True) -> dict[str, torch.Tensor]:
    """Seeded weights by the project's names, of TINY; `scale` is its cond_predict_scale."""
    torch.manual_seed(3)
    widths, given, kernel = TINY["widths"], TINY["embedding"] + 20 * TINY["steps"], TINY["kernel"]
    found: dict[str, torch.Tensor] = {}

    def layer(name: str, *shape: int, norm: bool = False) -> None:
        fan = math.prod(shape[1:]) or 1
        found[f"model.{name}.weight"] = 1 + 0.2 * torch.randn(shape) if norm else torch.randn(shape) / math.sqrt(fan)
        found[f"model.{name}.bias"] = 0.2 * torch.randn(found[f"model.{name}.weight"].shape[0])

    def block(name: str, taken: int, out: int) -> None:
        layer(f"{name}.0", out, taken, kernel)
        layer(f"{name}.1", out, norm=True)

    def residual(name: str, taken: int, out: int) -> None:
        block(f"{name}.blocks.0.block", taken, out)
        block(f"{name}.blocks.1.block", out, out)
        layer(f"{name}.cond_encoder.1", out * (2 if scale else 1), given)
        if taken != out:
            layer(f"{name}.residual_conv", out, taken, 1)

    layer("diffusion_step_encoder.1", 4 * TINY["embedding"], TINY["embedding"])
    layer("diffusion_step_encoder.3", TINY["embedding"], 4 * TINY["embedding"])
    for i, (taken, out) in enumerate(itertools.pairwise([2, *widths])):
        residual(f"down_modules.{i}.0", taken, out)
        residual(f"down_modules.{i}.1", out, out)
    for i in range(2):
        residual(f"mid_modules.{i}", widths[-1], widths[-1])
    for i, (out, taken) in enumerate(reversed([*itertools.pairwise(widths)])):
        layer(f"down_modules.{len(widths) - 2 - i}.2.conv", out, out, 3)
        residual(f"up_modules.{i}.0", 2 * taken, out)
        residual(f"up_modules.{i}.1", out, out)
        layer(f"up_modules.{i}.2.conv", out, out, 4)
    block("final_conv.0.block", widths[0], widths[0])
    layer("final_conv.1", 2, widths[0], 1)
    return found | _others()


def _others() -> dict[str, torch.Tensor]:
    # A normaliser of the kind `limits`, and what else the project's policy has in its state.
    found = {"_dummy_variable": torch.zeros(0), "mask_generator._dummy_variable": torch.zeros(0)}
    for key, size in (("obs", 20), ("action", 2)):
        low, high = 20 + 30 * torch.rand(size), 400 + 90 * torch.rand(size)
        scale = 2 / (high - low)
        parts = {"scale": scale, "offset": -1 - scale * low, "input_stats.min": low, "input_stats.max": high}
        found |= {f"normalizer.params_dict.{key}.{part}": value for part, value in parts.items()}
    return found


# ---- the file ------------------------------------------------------------------------------------------------------------


def write_checkpoint(file: Path, config: Any = None, weights: Any = None, **state_dicts: Any) -> Path:
    """`file` as the project's workspace saves it: dill, a config of OmegaConf's classes, the average beside the last weights."""
    weights = make_weights() if weights is None else weights
    kept = {"model": {name: 0 * each for name, each in weights.items()}, "ema_model": weights,
            "optimizer": {"state": {0: {"step": 7}}, "param_groups": [{"lr": 1e-4}]}} | state_dicts  # fmt: skip
    with _omegaconf() as node:
        payload = {
            "cfg": node(make_config() if config is None else config),
            "state_dicts": {name: each for name, each in kept.items() if each is not None},
            "pickles": {"global_step": dill.dumps(12), "epoch": dill.dumps(3)},
        }
        torch.save(payload, file, pickle_module=dill)
    return file


@contextmanager
def _omegaconf():
    # OmegaConf's classes under their own names, with the attributes that they have in a pickle.
    names = {"omegaconf": (), "omegaconf.base": ("ContainerMetadata", "Metadata"), "omegaconf.dictconfig": ("DictConfig",),
             "omegaconf.listconfig": ("ListConfig",), "omegaconf.nodes": ("AnyNode",)}  # fmt: skip
    before = {name: sys.modules.get(name) for name in names}
    classes = {}
    for module, kinds in names.items():
        sys.modules[module] = types.ModuleType(module)
        setattr(sys.modules["omegaconf"], module.rpartition(".")[2], sys.modules[module])  # where dill looks for it
        for kind in kinds:
            classes[kind] = type(kind, (), {"__module__": module, "__qualname__": kind})
            setattr(sys.modules[module], kind, classes[kind])

    def make(kind: str, **held: Any):
        found = classes[kind]()
        found.__dict__.update(held)
        return found

    def node(value: Any, parent: Any = None):
        about = {
            "ref_type": Any,
            "object_type": type(value) if isinstance(value, dict | list) else None,
            "optional": True,
            "flags": {},
        }
        if not isinstance(value, dict | list):
            return make("AnyNode", _metadata=make("Metadata", **about), _parent=parent, _flags_cache=None, _val=value)
        about |= {"key_type": Any, "element_type": Any, "resolver_cache": defaultdict(dict, {"now": {"x": "1"}})}
        found = make("DictConfig" if isinstance(value, dict) else "ListConfig",
                     _metadata=make("ContainerMetadata", **about), _parent=parent, _flags_cache=None)  # fmt: skip
        inside = (
            {k: node(v, found) for k, v in value.items()}
            if isinstance(value, dict)
            else [node(v, found) for v in value]
        )
        found.__dict__["_content"] = inside
        return found

    try:
        yield node
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})


class Touch:
    """A value whose pickle makes a file when it is opened."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


class Run(Touch):
    """The same through a shell."""

    def __reduce__(self):
        import os

        return (os.system, (f"touch {self.marker}",))


def is_live(value: Touch) -> bool:
    """Whether an ordinary reader of pickles would make the file; it is removed again."""
    pickle.loads(pickle.dumps(value))
    there = value.marker.exists()
    value.marker.unlink(missing_ok=True)
    return there


# ---- the network, from the papers ------------------------------------------------------------------------------------------


def predict(weights: dict[str, torch.Tensor], x: torch.Tensor, t: int, observed: torch.Tensor) -> torch.Tensor:
    """ε̂ (B, H, 2) of chunks x (B, H, 2) at timestep t under normalised observations (B, steps · 20), by the project's names."""

    def of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return weights[f"model.{name}.weight"], weights[f"model.{name}.bias"]

    def block(name: str, groups: int, h: torch.Tensor) -> torch.Tensor:
        kernel = weights[f"model.{name}.0.weight"].shape[-1]
        h = F.conv1d(h, *of(f"{name}.0"), padding=kernel // 2)
        return _mish(F.group_norm(h, groups, *of(f"{name}.1")))

    def residual(name: str, h: torch.Tensor) -> torch.Tensor:
        out = block(f"{name}.blocks.0.block", TINY["groups"], h)
        film = F.linear(_mish(given), *of(f"{name}.cond_encoder.1"))[:, :, None]
        channels = out.shape[1]
        out = film[:, :channels] * out + film[:, channels:] if film.shape[1] > channels else out + film
        out = block(f"{name}.blocks.1.block", TINY["groups"], out)
        passed = F.conv1d(h, *of(f"{name}.residual_conv")) if f"model.{name}.residual_conv.weight" in weights else h
        return out + passed

    half = TINY["embedding"] // 2
    angles = t * torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
    step = torch.cat([angles.sin(), angles.cos()])[None]
    step = F.linear(_mish(F.linear(step, *of("diffusion_step_encoder.1"))), *of("diffusion_step_encoder.3"))
    given = torch.cat([step.expand(len(x), -1), observed], dim=1)

    h, skips, levels = x.transpose(1, 2), [], len(TINY["widths"])
    for i in range(levels):
        h = residual(f"down_modules.{i}.1", residual(f"down_modules.{i}.0", h))
        skips.append(h)
        h = F.conv1d(h, *of(f"down_modules.{i}.2.conv"), stride=2, padding=1) if i < levels - 1 else h
    h = residual("mid_modules.1", residual("mid_modules.0", h))
    for i in range(levels - 1):  # the project joins all skips but the first
        h = residual(f"up_modules.{i}.1", residual(f"up_modules.{i}.0", torch.cat([h, skips.pop()], dim=1)))
        h = F.conv_transpose1d(h, *of(f"up_modules.{i}.2.conv"), stride=2, padding=1)
    h = block("final_conv.0.block", 8, h)  # eight groups, whatever the config says
    return F.conv1d(h, *of("final_conv.1")).transpose(1, 2)


def _mish(x: torch.Tensor) -> torch.Tensor:
    return x * torch.tanh(F.softplus(x))


def draw(weights: dict[str, torch.Tensor], observed: torch.Tensor, noises: list[torch.Tensor]) -> torch.Tensor:
    """A chunk by DDPM (Ho et al. 2020, algorithm 2, with x̂₀ clipped): noises[0] is x_T, the others are of each step."""
    steps = 20
    ends = torch.arange(steps + 1, dtype=torch.float64) / steps
    bars = torch.cos((ends + 0.008) / 1.008 * math.pi / 2) ** 2  # Nichol & Dhariwal 2021, eq. 17
    betas = (1 - bars[1:] / bars[:-1]).clamp(max=0.999)
    kept = torch.cumprod(1 - betas, dim=0)
    x = noises[0]
    for i, t in enumerate(reversed(range(steps))):
        before = kept[t - 1] if t else torch.ones((), dtype=torch.float64)
        clean = (x - (1 - kept[t]).sqrt() * predict(weights, x, t, observed)) / kept[t].sqrt()
        mean = before.sqrt() * betas[t] / (1 - kept[t]) * clean.clamp(-1, 1)
        mean = mean + (1 - betas[t]).sqrt() * (1 - before) / (1 - kept[t]) * x
        x = mean + (((1 - before) / (1 - kept[t]) * betas[t]).sqrt() * noises[i + 1] if t else 0)
    return x
