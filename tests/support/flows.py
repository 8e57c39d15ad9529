"""A policy of a known density under flow matching, without LeRobot's transformer: observations as a diffusion policy's."""

from functools import cached_property

import torch

from dlscore.certify.analytic_policy import make_policy
from dlscore.certify.flow_policy import MixtureVelocity
from dlscore.policy.diffusion import Diffusion


class FlowPolicy(Diffusion):
    """The exact velocity of a mixture along a `FlowPath`, which may run backwards."""

    def __init__(self, mixture, flow):
        plain = make_policy(mixture)
        super().__init__(plain.policy, plain.preprocess, plain.postprocess, name="flow", revision="", fingerprint="",
                         device=plain.device, batch_size=2048)  # fmt: skip
        self.flow, self.accelerated = flow, True
        self.velocity = MixtureVelocity(mixture, flow.sigma_min, backwards=flow.backwards)

    @cached_property
    def path(self):
        return self.flow

    @property
    def sampler_steps(self):
        return self.flow.steps

    def network(self, x, time, conditioning):
        return self.velocity(x, torch.tensor([time]))

    def integrate(self, conditioning, noise, streams):
        x, dt = noise, 1 / self.flow.steps
        for k in range(self.flow.steps):
            time = 1 - k * dt if self.flow.backwards else k * dt
            velocity = self.velocity(x, torch.tensor([time]))
            x = x - dt * velocity if self.flow.backwards else x + dt * velocity
        return x
