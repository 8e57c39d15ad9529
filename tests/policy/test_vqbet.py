"""The atoms of a VQ-BeT are what LeRobot's own rollout draws, with the probabilities that it draws them by."""

import shutil

import numpy as np
import pytest
import torch
from scipy.stats import norm
from support import families
from support.checkpoints import assert_same_policy, edit_config, edit_weights, load

from dlscore.common.errors import UserError
from dlscore.episodes.episode import ENVIRONMENT, IMAGE, STATE
from dlscore.grid import Grid
from dlscore.scores.distance import Distance
from dlscore.scores.likelihood import Likelihood
from dlscore.scores.noise_prediction import NoisePrediction

DRAWS = 16_384


@pytest.fixture(scope="module", params=[False, True], ids=["at once", "sequentially"])
def folder(request, tmp_path_factory):
    return families.save_vqbet(
        tmp_path_factory.mktemp("vqbet") / "tiny", vqvae_n_embed=16, sequentially_select=request.param
    )


@pytest.fixture(scope="module")
def policy(folder):
    return load(folder)


def observe(policy, steps=2):
    rng = np.random.default_rng(0)
    scale = {STATE: 512.0}
    return {
        name: rng.random((steps, 2, *shape), dtype=np.float32) * np.float32(scale.get(name, 1.0))
        for name, shape in policy.inputs.items()
    }


def test_lerobots_own_draws_have_the_probabilities_of_the_atoms(policy):
    given = policy.encode(observe(policy))
    weights, chunks = policy.atoms(given)
    assert weights.shape == (2, 256)
    assert chunks.shape == (2, 256, 3, 2)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, dtype=torch.float64))
    found = sampling = 0.0
    for k in range(2):
        assert 2 < (weights[k] > 0.01).sum() < 128  # neither one atom nor all alike
        torch.manual_seed(1)
        with torch.inference_mode():
            drawn = policy.head(given[k].expand(1, DRAWS, -1))["predicted_action"].view(DRAWS, 3, 2)
        away = (drawn[:, None, 0] - chunks[k, :, 0]).abs().amax(dim=-1)
        farthest, nearest = away.min(dim=1)
        assert farthest.max() * policy.px_per_unit.max() < 1e-4  # px
        counted = torch.bincount(nearest, minlength=256).double() / DRAWS
        found += 0.5 * (counted - weights[k]).abs().sum()
        sampling += 0.5 * (2 * weights[k] * (1 - weights[k]) / (torch.pi * DRAWS)).sqrt().sum()
    assert found < 1.5 * sampling


def test_the_whole_policy_acts_one_of_the_atoms(policy):
    seen = observe(policy)
    chunks = policy.atoms(policy.encode(seen))[1]
    batch = policy.preprocess({name: torch.from_numpy(values) for name, values in seen.items()})
    policy.policy.reset()
    for step in range(2):  # LeRobot keeps the window itself
        policy.policy._queues["action"].clear()
        acted = policy.policy.select_action({name: batch[name][:, step] for name in seen})
    away = (acted[:, None] - chunks[:, :, policy.current]).abs().amax(dim=-1).amin(dim=1)
    assert away.max() * policy.px_per_unit.max() < 1e-4
    assert policy.executed_actions == len(policy.policy._queues["action"]) + 1


def test_sampling_draws_atoms_by_their_weights_each_with_a_stream_of_its_own(policy):
    given = policy.encode(observe(policy))
    weights, chunks = policy.atoms(given)
    drawn = policy.sample(given, [list(range(512)), list(range(512, 1024))])
    for k in range(2):
        nearest = (drawn[k][:, None] - chunks[k]).abs().amax(dim=(2, 3)).argmin(dim=1)
        counted = torch.bincount(nearest, minlength=256) / 512
        assert 0.5 * (counted - weights[k]).abs().sum() < 0.2
    torch.testing.assert_close(policy.sample(given[1:], [[700]])[0, 0], drawn[1, 700 - 512])


def test_the_density_is_that_of_the_atoms_in_one_evaluation(policy):
    given, grid = policy.encode(observe(policy)), Grid(50)
    policy.evaluations = 0
    scores = Likelihood().score(policy, given, np.empty(0), grid, 0)
    assert policy.evaluations == 2  # of two steps
    weights, chunks = policy.atoms(given)
    edges = np.arange(51) * grid.cell
    for k in range(2):
        actions = policy.to_px(chunks[k, :, policy.current].numpy())
        across, down = (np.diff(norm.cdf(edges, actions[:, axis, None], 6.4), axis=1) for axis in (0, 1))  # (K, N)
        masses = np.einsum("k,kx,ky->yx", weights[k].numpy(), across, down)
        assert 0.5 * np.abs(np.exp(scores.values[k]) * grid.cell_area - masses).sum() < 1e-3
    assert (scores.checks["error"] == 0).all()


def test_the_temperature_sharpens_and_the_kernel_is_a_resolution(policy):
    given, grid = policy.encode(observe(policy, 1)), Grid(20)
    cooled, warm = (policy.atoms(given, density)[0] for density in ("executed", "model"))
    assert cooled.max() > warm.max() + 0.1
    at_once, model = Likelihood(kernel_px=12.0), Likelihood(density="model", kernel_px=12.0)
    found = [each.score(policy, given, np.empty(0), grid, 0) for each in (at_once, model)]
    assert found[0].mixtures[0].log_density(found[0].mixtures[0].mean).max() > found[1].mixtures[0].peak()
    np.testing.assert_allclose(found[0].mixtures[0].covariance, np.broadcast_to(144 * np.eye(2), (256, 2, 2)))
    assert at_once.describe(policy)["kernel_px"] == 12
    assert "seen through a Gaussian of 12 px" in at_once.describe(policy)["definition"]


def test_other_methods_take_a_vqbet_or_refuse_it_in_a_line(policy):
    given, grid = policy.encode(observe(policy, 1)), Grid(8)
    chunks = policy.to_px(policy.sample(given, [[0]]).double().numpy())
    assert Distance().score(policy, given, chunks, grid, 0).values.shape == (1, 8, 8)
    with pytest.raises(UserError, match=r"the density of policy .* is exact without --sampler policy; leave it out"):
        Likelihood(sampler="policy", samples=16).evaluations(policy, grid)
    with pytest.raises(
        UserError, match=r"noise_pred needs a network that removes noise; .* choose likelihood or distance"
    ):
        NoisePrediction().evaluations(policy, grid)


def test_a_legacy_checkpoint_is_the_same_policy(folder, policy, tmp_path):
    legacy = families.as_legacy(shutil.copytree(folder, tmp_path / "legacy"))
    assert_same_policy(policy, load(legacy))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_features": {"type": "more"}}, "reads the wrong token unless they are one picture"),
        ({"bet_softmax_temperature": 0}, "it is a number above 0"),
        ({"gpt_n_head": "<gone>"}, "lacks gpt_n_head"),
    ],
)
def test_configs_that_would_be_misread_are_refused(folder, tmp_path, change, message):
    copy = shutil.copytree(folder, tmp_path / "policy")
    if "input_features" in change:
        shapes = {IMAGE: ("VISUAL", [3, 96, 96]), STATE: ("STATE", [2]), ENVIRONMENT: ("ENV", [16])}
        change = {"input_features": {name: {"type": kind, "shape": size} for name, (kind, size) in shapes.items()}}
    edit_config(copy, **change)
    with pytest.raises(UserError, match=message):
        load(copy)


def test_a_quantiser_that_was_not_trained_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "policy")
    name = "vqbet.action_head.vqvae_model.discretized"
    edit_weights(copy, lambda weights: weights | {name: torch.tensor(False)})
    with pytest.raises(UserError, match="quantiser that was not trained to its end"):
        load(copy)
