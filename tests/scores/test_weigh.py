"""Chunks get the weights of the density that the network's predictions belong to."""

import numpy as np
import pytest

import dlscore.scores.weigh as weighing
from dlscore.scores.multilevel import even_weights
from dlscore.scores.solver import data_variances
from dlscore.scores.start import normal_points
from dlscore.scores.weigh import PLACES, Passed, _linearise, spread_of, weigh, weigh_halves

SIZE = 6  # numbers of a chunk
LEVELS = (2.8, 1.4, 0.7)


def predictions(centres, weights, spread, places, noise):
    """E[x | y] (P, n) of the mixture of N(centre, diag(spread)), in closed form."""
    variance = spread + noise**2
    away = places[:, None] - centres
    logs = np.log(weights) - 0.5 * (away**2 / variance).sum(axis=2)
    member = np.exp(logs - logs.max(axis=1, keepdims=True))
    member /= member.sum(axis=1, keepdims=True)
    return np.einsum("pk,pkn->pn", member, centres + spread / variance * away)


@pytest.fixture
def case():
    """128 chunks of two modes, 96 of the first, whose probability is 0.3; what a network of these modes predicts."""
    rng = np.random.default_rng(0)
    centres, weights, spread = rng.normal(0, 0.5, (2, SIZE)), np.array([0.3, 0.7]), np.full(SIZE, 0.02**2)
    mode = (np.arange(128) % 4 == 0).astype(int)
    chunks = centres[mode] + rng.normal(0, 0.02, (128, SIZE))
    passed = []
    for noise in LEVELS:
        places = chunks + noise * rng.standard_normal(chunks.shape)
        passed.append(Passed(noise, places, predictions(centres, weights, spread, places, noise)))
    return passed, chunks, mode


def test_modes_get_their_probabilities_whatever_their_number_of_chunks(case):
    passed, chunks, mode = case
    found = weigh(passed, chunks, np.zeros(SIZE))
    assert found.sum() == pytest.approx(1)
    assert found.min() > 0
    assert np.mean(mode == 0) == 0.75
    assert found[mode == 0].sum() == pytest.approx(0.3, abs=0.02)


def test_chunks_that_explain_everything_already_count_alike():
    rng = np.random.default_rng(1)
    chunks, spread = rng.normal(0, 0.5, (64, SIZE)), np.full(SIZE, 0.1**2)
    passed = [
        Passed(noise, places, predictions(chunks, np.full(64, 1 / 64), spread, places, noise))
        for noise in LEVELS
        for places in (rng.normal(0, np.hypot(0.5, noise), (64, SIZE)),)
    ]
    np.testing.assert_allclose(64 * weigh(passed, chunks, spread), 1, atol=1e-3)


def test_predictions_that_no_weights_explain_change_little(case):
    passed, chunks, _ = case
    rng = np.random.default_rng(2)
    wrong = [Passed(each.noise, each.place, rng.normal(0, 3, chunks.shape)) for each in passed]
    found = weigh(wrong, chunks, np.zeros(SIZE))
    assert 1 / (found**2).sum() > 0.95 * len(chunks)


def test_an_offset_of_everything_changes_nothing(case):
    passed, chunks, _ = case
    moved = [Passed(each.noise, each.place + 3, each.predicted + 3) for each in passed]
    np.testing.assert_allclose(
        weigh(moved, chunks + 3, np.zeros(SIZE)), weigh(passed, chunks, np.zeros(SIZE)), rtol=1e-3
    )


def test_the_equations_are_the_slope_of_the_prediction_and_its_transpose(case):
    (level, *_), chunks, _ = case
    rng = np.random.default_rng(3)
    spread, log_weight, change = np.full(SIZE, 0.05), rng.normal(0, 0.3, 128), rng.normal(0, 1e-3, 128)

    def at(logs):
        return _linearise(chunks.astype(np.float32), spread, logs.astype(np.float32), level)

    middle, low, high = at(log_weight), at(log_weight - change), at(log_weight + change)
    found = middle.forward(change) / middle.precision
    slope = (high.whole - low.whole) / 2
    np.testing.assert_allclose(found, slope, atol=0.02 * np.abs(slope).max())
    any_error = rng.standard_normal(middle.whole.shape)
    left = (middle.forward(change) / middle.precision * any_error).sum()
    assert left == pytest.approx(change @ middle.backward(any_error), rel=1e-3)


def test_the_spread_is_the_posterior_of_one_gaussian_and_as_much_less_as_is_measured():
    variances, noise, now = np.array([0.5, 0.1, 0.001, 0.0]), 0.17, np.eye(4)[:2]
    deviations = data_variances(), np.sqrt(data_variances() + noise**2)  # of the model
    exact = variances * noise**2 / (variances + noise**2)
    measured = np.broadcast_to(np.diag(exact[:2]), (8, 2, 2))
    # Widths between the tabulated ones are interpolated.
    np.testing.assert_allclose(spread_of(variances, now, noise, measured, deviations)[:3], exact[:3], rtol=0.05)
    narrow = spread_of(variances, now, noise, 0.25 * measured, deviations)
    np.testing.assert_allclose(narrow[:3], 0.25 * exact[:3], rtol=0.05)


def test_what_the_sampler_leaves_out_of_the_means_is_in_the_spread():
    variances, noise, now = np.array([0.02, 0.01, 0.0, 0.0]), 0.17, np.eye(4)[:2]
    measured = np.broadcast_to(np.diag((variances * noise**2 / (variances + noise**2))[:2]), (8, 2, 2))
    model = np.sqrt(data_variances() + noise**2)
    spread, wider = (
        spread_of(variances, now, noise, measured, (data_variances(), share * model)) for share in (1.0, 0.9)
    )
    assert (wider[:2] > spread[:2]).all()


def test_chunks_that_are_all_the_same_count_alike():
    chunks = np.full((64, SIZE), 0.3)
    passed = [Passed(noise, chunks + noise, chunks) for noise in LEVELS]
    rows = weigh_halves(passed, chunks, np.full(SIZE, 1e-4))
    np.testing.assert_array_equal(rows, even_weights(64))


def test_places_that_belong_to_one_chunk_each_count_finitely():
    chunks = np.random.default_rng(0).normal(0, 0.5, (64, SIZE)).astype(np.float32)
    level = Passed(0.005, chunks, chunks)
    equations = _linearise(chunks, np.zeros(SIZE), np.zeros(64, np.float32), level)
    assert (equations.precision > 0).all()
    assert equations.precision.max() < 1e7
    found = weigh([level], chunks.astype(float), np.zeros(SIZE))
    np.testing.assert_allclose(found, 1 / 64, rtol=1e-3)


def test_the_places_used_of_many_chunks_are_spread_evenly(monkeypatch):
    used = []
    monkeypatch.setattr(weighing, "_linearise", lambda *args: used.append(args[3].place) or _linearise(*args))
    chunks = normal_points(2048, SIZE, seed=0)
    weigh([Passed(1.0, chunks, chunks / 2)], chunks, np.full(SIZE, 0.01))
    places = used[0] - used[0].mean(axis=0)
    assert len(places) == PLACES
    np.testing.assert_allclose(places.std(axis=0), 1, rtol=0.05)
