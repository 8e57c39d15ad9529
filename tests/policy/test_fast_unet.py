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


def test_steps_that_share_a_batch_keep_their_own_conditioning(policy):
    conditioning = torch.randn(3, 36, generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, 4, 16, 2, generator=torch.Generator().manual_seed(1))
    together = policy.epsilon(x, 8, conditioning)
    assert policy.evaluations == 12
    for batch_size in (1, 3, 8):  # parts of a step, a step, two steps
        policy.batch_size = batch_size
        torch.testing.assert_close(policy.epsilon(x, 8, conditioning), together, atol=1e-5, rtol=1e-5)
    alone = policy.epsilon(x[1:2], 8, conditioning[1:2])
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=1e-5)


def test_no_batch_is_larger_than_asked_for(policy):
    sizes = []
    policy.policy.diffusion.unet.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    policy.batch_size = 10
    policy.epsilon(torch.zeros(5, 4, 16, 2), 8, torch.zeros(5, 36))
    policy.epsilon(torch.zeros(1, 25, 16, 2), 8, torch.zeros(1, 36))
    assert sizes == [8, 8, 4, 10, 10, 5]
