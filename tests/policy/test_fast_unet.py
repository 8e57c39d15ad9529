"""The accelerated U-Net is LeRobot's."""

import copy

import pytest
import torch
from lerobot.policies.diffusion.modeling_diffusion import DiffusionConditionalUnet1d
from support.stub import make_config

from dlscore.policy.fast_unet import RowConv, accelerate


@pytest.mark.parametrize(
    "changes",
    [{}, {"kernel_size": 3}, {"use_film_scale_modulation": False}, {"horizon": 32, "down_dims": (16, 32, 64)}],
    ids=str,
)
@pytest.mark.parametrize("batch", [1, 5])
def test_the_accelerated_unet_is_lerobots(changes, batch):
    torch.manual_seed(0)
    config = make_config(**changes)
    theirs = DiffusionConditionalUnet1d(config, global_cond_dim=36).eval()
    ours = copy.deepcopy(theirs)
    if not accelerate(ours):
        pytest.skip("this build of torch has no oneDNN")
    assert any(isinstance(module, RowConv) for module in ours.modules())
    x, conditioning = torch.randn(batch, config.horizon, 2), torch.randn(1, 36)
    with torch.inference_mode():
        expected = theirs(x, torch.full((batch,), 8), global_cond=conditioning.expand(batch, -1))
        # One embedding of the timestep and the conditioning broadcasts over the batch.
        torch.testing.assert_close(ours(x, torch.tensor([8]), global_cond=conditioning), expected, atol=1e-5, rtol=1e-5)
