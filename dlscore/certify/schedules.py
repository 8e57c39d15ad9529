"""The noise schedules and samplers under which scores are certified, by name.

Each is what it changes of a LeRobot diffusion policy's config: 100 timesteps of the squared cosine, DDPM, the prediction
of noise, clipped to [-1, 1]. DDIM knows neither `sigmoid` nor `laplace` (diffusers). ᾱ at the last timestep tells how much
of the data the start still holds: 2e-7 for the cosine of 100, but 0.36 for the linear one and 0.82 for that of 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlscore.certify.errors import CertifyError
from dlscore.common.choices import check_choice

BETAS = {
    "cosine": "squaredcos_cap_v2",
    "linear": "linear",
    "sigmoid": "sigmoid",
    "laplace": "laplace",
    "scaled_linear": "scaled_linear",
}
TIMESTEPS = (20, 50, 100, 1000)


def _name(schedule: str, timesteps: int) -> str:
    return schedule if timesteps == 100 else f"{schedule}-{timesteps}"


# Of flow matching; 100 Euler steps are LeRobot's default.
FLOWS: dict[str, Mapping[str, Any]] = {
    "flow": {"objective": "flow_matching"},
    "flow-sigma_min-0.01": {"objective": "flow_matching", "sigma_min": 0.01},
    "flow-20-steps": {"objective": "flow_matching", "num_integration_steps": 20},
    "flow-10-steps": {"objective": "flow_matching", "num_integration_steps": 10},
}
SCHEDULES: dict[str, Mapping[str, Any]] = {
    **{
        _name(name, count): {"beta_schedule": betas, "num_train_timesteps": count}
        for name, betas in BETAS.items()
        for count in TIMESTEPS
    },
    "linear-steep": {"beta_schedule": "linear", "beta_start": 0.001, "beta_end": 0.2},  # ᾱ_T = 3e-5
    "scaled_linear-steep": {"beta_schedule": "scaled_linear", "beta_start": 0.0005, "beta_end": 0.25},  # ᾱ_T = 4e-5
    "cosine-sample": {"prediction_type": "sample"},
    "cosine-fixed_large": {"variance_type": "fixed_large"},
    "cosine-unclipped": {"clip_sample": False},
    "cosine-clip-2": {"clip_sample_range": 2.0},
    "cosine-50-steps": {"num_inference_steps": 50},
    "cosine-25-steps": {"num_inference_steps": 25},
    "ddim": {"noise_scheduler_type": "DDIM"},
    "ddim-50-steps": {"noise_scheduler_type": "DDIM", "num_inference_steps": 50},
    "ddim-40-steps": {"noise_scheduler_type": "DDIM", "num_inference_steps": 40},  # from timestep 78 of 0 to 99
    "ddim-10-steps": {"noise_scheduler_type": "DDIM", "num_inference_steps": 10},
    "ddim-linear-1000-50-steps": {
        "noise_scheduler_type": "DDIM",
        "beta_schedule": "linear",
        "num_train_timesteps": 1000,
        "num_inference_steps": 50,
    },
    "ddim-sample": {"noise_scheduler_type": "DDIM", "prediction_type": "sample", "num_inference_steps": 20},
}


DEFAULT = {"diffusion": "cosine", "multi_task_dit": "flow"}  # of a family: that of LeRobot's own config
OF_FAMILY: dict[str, tuple[str, ...]] = {
    "diffusion": tuple(SCHEDULES),
    "multi_task_dit": (*FLOWS, *(name for name in SCHEDULES if "variance_type" not in SCHEDULES[name])),
}


def choose_schedule(name: str) -> dict[str, Any]:
    """What the schedule changes of the config. Raises CertifyError for an unknown name."""
    check_choice("--schedule", name, SCHEDULES | FLOWS, CertifyError)
    return dict((SCHEDULES | FLOWS)[name])


def choose_schedules(names: str | None, family: str = "diffusion") -> tuple[str, ...]:
    """The names in a comma-separated list of a family's schedules, all for "all", or its default for None.

    Raises CertifyError for an unknown name or family.
    """
    check_choice("--family", family, OF_FAMILY, CertifyError)
    known = OF_FAMILY[family]
    if names is None:
        return (DEFAULT[family],)
    if names.strip() == "all":
        return known
    wanted = tuple(name.strip() for name in names.split(","))
    for name in wanted:
        check_choice("--schedule", name, {"all", *known}, CertifyError)
    return wanted
