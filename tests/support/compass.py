"""A family of another distribution: four actions around the agent, north twice as likely as each of the others."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import torch

from dlscore import AtomsPolicy

COMPASS = torch.tensor([[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
WEIGHTS = torch.tensor([0.4, 0.2, 0.2, 0.2], dtype=torch.float64)


class Compass(AtomsPolicy):
    """Four atoms, `reach` px from the agent; a chunk repeats its action."""

    family: ClassVar[str] = "compass"
    required = ("reach",)
    count, horizon, current, observation_indices, executed_actions = 4, 2, 0, (0,), 1

    @classmethod
    def horizon_of(cls, written):
        return cls.horizon

    @classmethod
    def open(cls, checkpoint):
        shapes = {name: feature["shape"] for name, feature in checkpoint.config["input_features"].items()}
        features = {name: SimpleNamespace(shape=tuple(shape)) for name, shape in shapes.items()}
        config = SimpleNamespace(input_features=features, output_features={}, reach=checkpoint.config["reach"])
        pipeline = SimpleNamespace(steps=())
        loaded = cls(SimpleNamespace(config=config), pipeline, lambda action: 256 + 256 * action, name=checkpoint.name,
                     revision=checkpoint.revision, fingerprint=checkpoint.fingerprint, device=checkpoint.device)  # fmt: skip
        return loaded

    def describe_sampler(self):
        return "four winds"

    def encode(self, windows):
        return torch.as_tensor(windows["observation.state"][:, -1])

    def find_atoms(self, conditioning, density):
        actions = (conditioning[:, None] + self.config.reach * COMPASS - 256) / 256
        return WEIGHTS.expand(len(conditioning), -1), actions[:, :, None].expand(-1, -1, 2, -1)


def save_compass(folder: Path, **changes) -> Path:
    folder.mkdir(parents=True)
    config = {
        "type": "compass", "reach": 40, "input_features": {"observation.state": {"type": "STATE", "shape": [2]}},
        "output_features": {"action": {"type": "ACTION", "shape": [2]}}, "normalization_mapping": {},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder
