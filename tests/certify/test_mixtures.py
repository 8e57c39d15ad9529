"""The mixtures whose density is known."""

import numpy as np
import pytest

from dlscore.certify import analytic_policy, mixtures
from dlscore.grid import Grid

BY_NAME = {each.name: each for each in mixtures.MIXTURES}


def test_there_are_policies_of_every_kind():
    assert len(mixtures.MIXTURES) >= 24
    assert len({each.name for each in mixtures.MIXTURES}) == len(mixtures.MIXTURES)
    assert {len(each.weights) for each in mixtures.MIXTURES} >= {1, 2, 3, 4, 48}
    for each in mixtures.MIXTURES:
        assert each.chunks.shape[1:] == (16, 2)
        assert each.weights.sum() == pytest.approx(1)


def test_true_masses_are_those_of_the_gaussian():
    from scipy.stats import multivariate_normal

    mixture, policy = BY_NAME["one anisotropic"], analytic_policy.make_policy(BY_NAME["one anisotropic"])
    scale = np.diag(policy.px_per_unit)
    gaussian = multivariate_normal(policy.to_px(mixture.centres[0]), scale @ mixture.covariances[0] @ scale)
    edges = np.arange(21) * 512 / 20
    corners = gaussian.cdf(np.stack(np.meshgrid(edges, edges), axis=-1))  # [y, x]
    expected = np.diff(np.diff(corners, axis=0), axis=1)
    np.testing.assert_allclose(np.exp(mixture.log_masses(policy, Grid(20), fine=24)), expected, rtol=1e-3, atol=2e-5)
