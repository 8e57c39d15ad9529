import json

import numpy as np
import pytest
import torch
from support import ROOT

from dlscore.certify import analytic_policy, certify, metrics, mixtures
from dlscore.certify.certify import choose_mixtures
from dlscore.certify.metrics import highest_density, total_variation
from dlscore.cli import commands
from dlscore.grid import Grid
from dlscore.scores.base import Scores
from dlscore.scores.likelihood import Likelihood
from dlscore.scores.methods import name_scorers

GRID = Grid(50)
BY_NAME = {each.name: each for each in mixtures.MIXTURES}


class Exact:
    """A scorer that knows the truth, moved by some cells."""

    name, kind, checks = "exact", "log_density", ()

    def __init__(self, mixture, moved=0):
        self.mixture, self.moved = mixture, moved

    def score(self, policy, conditioning, chunks, grid, seed):
        log_density = self.mixture.log_masses(policy, grid) - np.log(grid.cell_area)
        return Scores(np.roll(log_density, self.moved, axis=1)[None])


def test_there_are_policies_of_every_kind():
    assert len(mixtures.MIXTURES) >= 24
    assert len({each.name for each in mixtures.MIXTURES}) == len(mixtures.MIXTURES)
    assert {len(each.weights) for each in mixtures.MIXTURES} >= {1, 2, 3, 4, 48}
    for each in mixtures.MIXTURES:
        assert each.chunks.shape[1:] == (16, 2)
        assert each.weights.sum() == pytest.approx(1)


def test_the_noise_is_the_score_of_the_noisy_density():
    # ε = -σ ∇ log p_t, with p_t written out as the density of 32 numbers.
    mixture = mixtures.gaussians("", [[0.2, -0.3], [-0.1, 0.4]], [0.1, 0.2], [0.3, 0.7], stretch=0.5, turn=[20, 70])
    policy = analytic_policy.make_policy(mixture)
    t = 30
    alpha, sigma = policy.noise_level(t)
    x = torch.randn(3, 16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    components = [
        torch.distributions.MultivariateNormal(
            torch.tensor(alpha * chunk.ravel()),
            torch.tensor(alpha**2 * np.kron(mixture.correlation, covariance) + sigma**2 * np.eye(32)),
        )
        for chunk, covariance in zip(mixture.chunks, mixture.covariances, strict=True)
    ]
    log_p = torch.stack([component.log_prob(x.flatten(1)) for component in components])
    log_p = (log_p + torch.tensor(np.log(mixture.weights))[:, None]).logsumexp(0).sum()
    expected = -sigma * torch.autograd.grad(log_p, x)[0]
    torch.testing.assert_close(policy.policy.diffusion.unet(x, torch.tensor([t])), expected, atol=1e-8, rtol=1e-6)


def test_true_masses_are_those_of_the_gaussian():
    from scipy.stats import multivariate_normal

    mixture, policy = BY_NAME["one anisotropic"], analytic_policy.make_policy(BY_NAME["one anisotropic"])
    scale = np.diag(policy.px_per_unit)
    gaussian = multivariate_normal(policy.to_px(mixture.centres[0]), scale @ mixture.covariances[0] @ scale)
    edges = np.arange(21) * 512 / 20
    corners = gaussian.cdf(np.stack(np.meshgrid(edges, edges), axis=-1))  # [y, x]
    expected = np.diff(np.diff(corners, axis=0), axis=1)
    np.testing.assert_allclose(np.exp(mixture.log_masses(policy, Grid(20), fine=24)), expected, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["one", "four unequal", "banana"])
def test_the_truth_is_perfect_and_a_moved_one_is_not(name):
    mixture = BY_NAME[name]
    perfect = certify.evaluate("exact", Exact(mixture), mixture, 0, GRID)[0]
    assert (perfect.tv, perfect.kl) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    assert (perfect.hdr95_iou, perfect.modes_found) == (1, 1)
    assert perfect.spearman == pytest.approx(1)
    assert perfect.coverage90 == pytest.approx(0.9)
    moved = certify.evaluate("exact", Exact(mixture, 12), mixture, 0, GRID)[0]
    assert moved.tv > 0.3
    assert moved.kl > 1
    assert moved.hdr95_iou < 0.6
    assert moved.coverage90 < 0.8
    assert moved.spearman < 0.95
    assert moved.modes_found < 1


def test_total_variation_counts_what_is_outside():
    p, q = np.array([[0.5, 0.5]]), np.array([[0.5, 0.25]])
    assert total_variation(p, q) == pytest.approx(0.25)
    assert total_variation(p, p[:, ::-1]) == 0
    assert total_variation(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1


def test_highest_density_region_takes_a_part_of_its_last_cell():
    masses = np.array([[0.5, 0.1], [0.3, 0.1]])
    np.testing.assert_allclose(highest_density(masses, 0.65), [[1, 0], [0.5, 0]])
    assert (masses * highest_density(masses, 0.85)).sum() == pytest.approx(0.85)


def test_a_missing_mode_is_not_found():
    mixture = BY_NAME["four unequal"]
    policy = analytic_policy.make_policy(mixture)
    truth = np.exp(mixture.log_masses(policy, GRID))
    less = truth * ~mixture.near(3, policy, GRID)
    assert metrics.find_modes(less, truth, mixture, policy, GRID) == 0.75
    assert metrics.find_modes(truth, truth, mixture, policy, GRID) == 1


def test_rows_summarise_policies_and_seeds():
    scorers = {"likelihood, draft": Likelihood(64, 5, 12)}
    results = certify.certify(scorers, mixtures=choose_mixtures("one,two"), seeds=(0, 1), resolution=30)
    (row,) = certify.summarise(results, scorers)
    assert row["evaluations"] == 608
    assert (row["policies"], row["seeds"]) == (2, 2)
    assert row["tv_mean"] == pytest.approx(np.mean([result.tv for result in results]))
    assert row["tv_max_policy"] in ("one", "two")
    assert row["tv_mean"] <= row["tv_max"] < 0.2
    assert row["modes_found"] == 1


def test_noise_pred_ranks_better_than_the_published_one():
    import sys

    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    from published import PublishedNoisePrediction, SampleDensity

    scorers = name_scorers(["noise_pred"], [], {"noise_pred": {"levels": 9}}) | {
        "published": PublishedNoisePrediction(),
        "kde": SampleDensity(samples=64),
    }
    results = certify.certify(scorers, mixtures=choose_mixtures("one,three"), seeds=(0,), resolution=25)
    ours, theirs, kde = certify.summarise(results, scorers)
    assert ours["evaluations"] == 10 * 25**2
    assert ours["tv_mean"] < theirs["tv_mean"] / 2
    assert kde["evaluations"] == 6400
    assert kde["tv_mean"] < 0.5


def test_command_line_table_json_and_figure(command, tmp_path):
    figure = tmp_path / "new" / "certify.png"
    options = ("--policies", "one,banana", "--seeds", 1, "--quality", "draft,standard", "--action_resolution", 25)
    code, out, _ = command(commands, "certify", *options, "--scoring-method", "likelihood,distance", "--figure", figure)
    assert code == 0
    assert [line.split("|")[1].strip() for line in out.splitlines()[2:]] == [
        "likelihood, draft", "likelihood, standard", "distance",
    ]  # fmt: skip
    assert figure.read_bytes()[:4] == b"\x89PNG"
    code, out, _ = command(commands, "certify", *options, "--scoring-method", "likelihood", "--json")
    rows = json.loads(out)["rows"]
    assert [row["evaluations"] for row in rows] == [608, 2496]
    wanted = {"method", "settings", "evaluations", "tv_mean", "tv_max", "kl_mean", "hdr95_iou", "spearman", "modes_found",
              "policies"}  # fmt: skip
    assert wanted <= set(rows[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--policies", "one,five"), "invalid value 'five' for --policies; choose one of 31 names"),
        (("--quality", "best"), "invalid value 'best' for --quality"),
        (("--scoring-method", "vibes"), "invalid value 'vibes' for --scoring-method"),
        (("--figure", "x.bmp"), "--figure x.bmp is not understood"),
        (("--action-resolution", "0"), "action-resolution 0"),
    ],
)
def test_bad_input_is_one_line(command, options, message):
    code, _, err = command(commands, "certify", *options)
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
