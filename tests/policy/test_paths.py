"""The Gaussian paths of flow matching, against their definition and against integration by LeRobot's own steps."""

import numpy as np
import pytest
import torch
from support.flows import FlowPolicy

from dlscore.certify.analytic_policy import encode_observation
from dlscore.certify.metrics import total_variation
from dlscore.certify.mixtures import MIXTURES
from dlscore.grid import Grid
from dlscore.policy.errors import PolicyError
from dlscore.policy.padding import ImposedPadding
from dlscore.policy.paths import FlowPath
from dlscore.policy.sampler_steps import gaussian_path
from dlscore.scores.base import ScorerError
from dlscore.scores.likelihood import Likelihood, choose_quality
from dlscore.scores.noise_prediction import NoisePrediction

GRID = Grid(25)
EMPTY = np.empty(0)
DRAFT = Likelihood(**choose_quality("draft", density="model"))


def mixture(name):
    return next(each for each in MIXTURES if each.name == name)


def masses(policy, scorer=DRAFT):
    scores = scorer.score(policy, encode_observation(policy), EMPTY, GRID, 0)
    return np.exp(scores.values[0]) * GRID.cell_area


@pytest.mark.parametrize("sigma_min", [0.0, 0.01])
@pytest.mark.parametrize("backwards", [False, True])
def test_levels_times_and_noise_are_those_of_the_definition(sigma_min, backwards):
    path = FlowPath(10, sigma_min, backwards)
    clean, noise = torch.randn(4, 16, 2, dtype=torch.float64), torch.randn(4, 16, 2, dtype=torch.float64)
    assert (np.diff(path.levels) > 0).all()
    assert path.levels[-1] == np.inf
    for t in (0, 1000, 3000, len(path.levels) - 1):
        alpha, sigma = path.noise_level(t)
        tau = 1 - path.time(t) if backwards else path.time(t)
        np.testing.assert_allclose([alpha, sigma], [tau, 1 - (1 - sigma_min) * tau])
        if alpha:
            np.testing.assert_allclose(sigma / alpha, path.levels[t])
        velocity = (noise - clean) if backwards else clean - (1 - sigma_min) * noise
        if not (backwards and sigma_min):  # the families that run backwards have none
            torch.testing.assert_close(path.noise(velocity, alpha * clean + sigma * noise, t), noise)
    cosine = [path.levels[path.scale_timestep(t)] for t in (10, 4)]
    np.testing.assert_allclose(cosine, [0.186, 0.090], atol=0.001)


@pytest.mark.parametrize("steps", [10, 100])
def test_euler_steps_are_affine_and_make_gaussians_as_narrow_as_known(steps):
    sampler = FlowPath(steps).own_steps()
    x, velocity, moved = torch.randn(5), torch.randn(5), torch.randn(5)
    for k, step in enumerate(sampler):
        denoised = x + step.sigma * velocity  # σ_min = 0
        moved = sampler.advance(step, denoised, x)
        torch.testing.assert_close(moved, x + velocity / steps)
        np.testing.assert_allclose(step.alpha, k / steps, atol=1e-12)
    # Deviations that FAMILIES-like measurements give for 10, 25 and 62 px of 249.5 px a unit.
    true = np.array([10, 25, 62]) / 249.5
    ratio = np.sqrt(gaussian_path(sampler.steps, 0.0, true**2)[1][-1]) / true
    np.testing.assert_allclose(ratio, {10: [0.33, 0.62, 0.80], 100: [0.90, 0.96, 0.98]}[steps], atol=0.03)


def test_the_density_does_not_depend_on_how_a_flow_is_told():
    known = mixture("two unequal")
    found = [
        masses(FlowPolicy(known, path)) for path in (FlowPath(100), FlowPath(100, 0.01), FlowPath(100, backwards=True))
    ]
    truth = np.exp(known.log_masses(FlowPolicy(known, FlowPath(100)), GRID))
    assert total_variation(found[0], truth) < 0.06
    for other in found[1:]:
        assert total_variation(found[0], other) < 1e-3


def test_a_flow_executes_what_its_own_euler_steps_draw():
    # One Gaussian: exact by the recursion over the steps, and by the policy's own draws.
    policy = FlowPolicy(mixture("one"), FlowPath(100))
    drawn = policy.sample(encode_observation(policy), [list(range(400))])[0, :, policy.current]
    deviation = np.sqrt(gaussian_path(policy.own_steps().steps, 0.0, 0.1**2)[1][-1])
    assert policy.evaluations == 400 * 100
    np.testing.assert_allclose(drawn.std(dim=0), deviation, rtol=0.1)
    scores = Likelihood(**choose_quality("draft")).score(policy, encode_observation(policy), EMPTY, GRID, 0)
    drawn_px = policy.to_px(drawn.numpy())
    own, density = scores.mixtures[0], Likelihood(**choose_quality("draft"))
    assert density.evaluations(policy, GRID) == 617
    np.testing.assert_allclose(own.draw(4000, np.random.default_rng(0)).std(axis=0), drawn_px.std(axis=0), rtol=0.1)


def test_executed_flows_of_few_steps_and_of_runge_kutta_are_refused_in_a_line():
    known = mixture("one")
    with pytest.raises(ScorerError, match=r"of 10 steps makes actions that have 0\.6.* choose --density model"):
        Likelihood().evaluations(FlowPolicy(known, FlowPath(10)), GRID)
    with pytest.raises(
        PolicyError, match="known for Euler steps, and the policy integrates by 'rk4'; choose --density model"
    ):
        Likelihood().evaluations(FlowPolicy(known, FlowPath(100, method="rk4")), GRID)
    assert Likelihood(density="model").evaluations(FlowPolicy(known, FlowPath(10)), GRID) == 2537


def test_noise_pred_takes_a_flow():
    policy = FlowPolicy(mixture("one"), FlowPath(20))
    chunks = policy.to_px(policy.sample(encode_observation(policy), [[0, 1]]).double().numpy())
    scores = NoisePrediction().score(policy, encode_observation(policy), chunks, Grid(8), 0).values[0]
    j, i = np.unravel_index(scores.argmax(), scores.shape)
    assert np.abs(Grid(8).actions[j, i] - policy.to_px(np.array([-0.3, 0.2]))).max() <= Grid(8).cell


@pytest.mark.parametrize("imposed", [True, False])
def test_padded_entries_are_imposed_not_integrated(imposed):
    # A network that reads the noise level off the padding, which in training is σ ε.
    known = mixture("two unequal")
    policy = FlowPolicy(known, FlowPath(100, backwards=True))
    velocity = policy.velocity
    noise = torch.randn(1, 16, 6, generator=torch.Generator().manual_seed(0))

    def network(x, time):
        seen = float(x[0, :, 2:].norm() / noise.norm())  # = σ = the time, backwards
        return torch.cat([velocity(x[..., :2], torch.tensor([min(seen, 1 - 1e-6)])), 9 + 0 * x[..., 2:]], dim=-1)

    padded = ImposedPadding(network, noise)
    # Integrated, an untrained velocity takes the padding anywhere: here it stays at ε / 2, whatever the level.
    policy.velocity = lambda x, time: padded(x, float(time[0]), float(time[0]) if imposed else 0.5)
    truth = np.exp(known.log_masses(policy, GRID))
    found = total_variation(masses(policy), truth)
    assert found < 0.06 if imposed else found > 0.3
