"""Densities drawn from a seed."""

import numpy as np
import pytest
from support import ROOT

from dlscore.certify import fresh
from dlscore.certify.errors import CertifyError
from dlscore.certify.mixtures import ACTION_RANGE, HORIZON
from dlscore.compute.prepare import read_actions


@pytest.fixture(scope="module")
def chunks():
    return fresh.cut_chunks(read_actions(None, str(ROOT / "data" / "demo" / "episodes"), None, "0-1"))


def same(one, other):
    arrays = ("weights", "chunks", "covariances", "correlation")
    return one.name == other.name and all(np.array_equal(getattr(one, a), getattr(other, a)) for a in arrays)


def test_a_seed_makes_the_same_densities_whatever_their_count(chunks):
    few, many = fresh.draw_mixtures(3, 4, chunks), fresh.draw_mixtures(3, 9, chunks)
    assert all(same(one, other) for one, other in zip(few, many, strict=False))
    other = fresh.draw_mixtures(4, 4, chunks)
    assert not any(np.array_equal(a.chunks, b.chunks) for a, b in zip(few, other, strict=True))


def test_kinds_take_turns(chunks):
    names = [each.name for each in fresh.draw_mixtures(7, 16, chunks)]
    assert names[:4] == ["fresh 7/0: mixture of 1", "fresh 7/1: curve", "fresh 7/2: kernel", "fresh 7/3: mixture of 2"]
    assert [len(each.weights) for each in fresh.draw_mixtures(7, 16, chunks)[::3]] == [1, 2, 3, 4, 5, 1]
    assert [each.name.split(": ")[1] for each in fresh.draw_mixtures(7, 3)] == ["mixture of 1", "curve", "mixture of 2"]


def test_densities_are_what_they_are_said_to_be(chunks):
    for each in fresh.draw_mixtures(11, 90, chunks):
        values = np.linalg.eigvalsh(each.covariances)
        low, high = fresh.DEVIATIONS
        assert (values >= low**2 * 0.999).all()
        assert (values <= high**2 * 1.001).all()
        assert (values[:, 1] / values[:, 0] <= fresh.RATIO * 1.001).all()
        assert each.weights.sum() == pytest.approx(1)
        assert each.chunks.shape == (len(each.weights), HORIZON, 2)
        assert np.abs(each.centres).max() <= 1
        assert np.linalg.eigvalsh(each.correlation).min() > 0
        assert np.diag(each.correlation) == pytest.approx(1)
        assert each.modes
        assert each.set == "fresh"
        if not each.name.endswith(("curve", "kernel")):
            assert min(each.weights[list(each.modes)]) >= 0.1


def test_some_modes_are_near_the_edges_and_widths_cover_the_range():
    drawn = [each for each in fresh.draw_mixtures(5, 200) if "mixture" in each.name]
    away = np.concatenate([1 - np.abs(each.centres).max(axis=1) for each in drawn])
    sigma = np.sqrt(np.concatenate([np.linalg.eigvalsh(each.covariances)[:, 1] for each in drawn]))
    assert 0.1 < (away < sigma).mean() < 0.4
    assert sigma.min() < 0.03
    assert sigma.max() > 0.24


def test_recorded_chunks_are_normalised_and_whole(chunks):
    low, high = ACTION_RANGE
    cut = fresh.cut_chunks([np.linspace([low, high], [high, low], 18), np.zeros((HORIZON - 1, 2))])
    assert cut.shape == (3, HORIZON, 2)
    np.testing.assert_allclose(cut[0, 0], [-1, 1])
    np.testing.assert_allclose(cut[2, -1], [1, -1])
    kernel = fresh.draw_mixtures(1, 3, chunks)[2]
    assert len(kernel.weights) == fresh.POINTS
    assert all((chunks == chunk).all(axis=(1, 2)).any() for chunk in kernel.chunks)
    assert len(np.unique(kernel.chunks.reshape(fresh.POINTS, -1), axis=0)) > fresh.POINTS // 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 3), "the seed of --random -1 is not allowed"),
        ((1, 0), "the count of --random 0 is not allowed"),
        ((1, 3, np.zeros((5, 8, 2))), r"the shape of recorded chunks \(5, 8, 2\)"),
        ((1, 3, np.full((5, 16, 2), 256.0)), "the largest entry of recorded chunks 256.0"),
        ((1, 3, np.full((5, 16, 2), np.nan)), "the largest entry of recorded chunks nan"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(CertifyError, match=message):
        fresh.draw_mixtures(*arguments)


def test_episodes_without_a_whole_chunk_are_refused():
    with pytest.raises(CertifyError, match="episodes of 16 actions or more"):
        fresh.cut_chunks([np.zeros((5, 2))])
